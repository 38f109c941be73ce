"""Drivers run the handlers of dynalab_impl on real clocks and real disks. No rule of the service lives here."""
