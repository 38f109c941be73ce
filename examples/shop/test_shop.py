"""What the shop promises, also on a bad day. `dynalab_fault` puts a fault on for one test; it turns the test red if the
fault hit nothing, for then nothing was shown.
"""

from __future__ import annotations

import time

import boto3
import pytest
from shop import RepairedShop, Shop, UnknownOrder


@pytest.fixture(params=[Shop, RepairedShop], ids=["Shop", "RepairedShop"])
def shop(request, dynalab_endpoint) -> Shop:
    client = boto3.client(  # with boto3's own retries: that is what the shop has in production
        "dynamodb",
        endpoint_url=dynalab_endpoint.url,
        region_name=dynalab_endpoint.region,
        aws_access_key_id=dynalab_endpoint.access_key,
        aws_secret_access_key=dynalab_endpoint.secret_key,
    )
    shop = request.param(client)
    shop.open()
    return shop


def test_an_order_is_paid(shop: Shop) -> None:
    shop.place("1", "pay-1")
    time.sleep(0.5)  # the author is a person, and takes a while to click: so the bug never showed
    shop.pay("pay-1")
    assert shop.state("1") == "paid"


@pytest.mark.dynalab_fault("index-lag")
def test_an_order_can_be_paid_at_once(shop: Shop) -> None:
    shop.place("1", "pay-1")
    shop.pay("pay-1")
    assert shop.state("1") == "paid"


def test_money_for_nothing_goes_back(shop: Shop) -> None:
    with pytest.raises(UnknownOrder):
        shop.pay("pay-1")


@pytest.mark.dynalab_fault("throttle", operation="PutItem", table="orders")
def test_an_order_is_placed_although_the_table_is_busy(shop: Shop) -> None:
    shop.place("1", "pay-1")
    assert shop.state("1") == "open"


@pytest.mark.dynalab_fault("fail", operation="UpdateItem", table="orders", when="after")
def test_a_payment_whose_answer_is_lost_is_booked(shop: Shop) -> None:
    shop.place("1", "pay-1")
    time.sleep(0.5)
    shop.pay("pay-1")
    assert shop.state("1") == "paid"
