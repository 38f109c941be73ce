// Runs the worker of dynalab.determinism under Pyodide in Node, offline.
// Arguments: pyodide.mjs, the bundle (a zip), the worker, the worker's argument.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [pyodideModule, bundle, worker, argument] = process.argv.slice(2);
try {
  const { loadPyodide } = await import(pathToFileURL(pyodideModule).href);
  const pyodide = await loadPyodide({
    env: { PYTHONHASHSEED: process.env.PYTHONHASHSEED ?? "0", HOME: "/home/pyodide" },
    stdout: (line) => process.stdout.write(line + "\n"),
    stderr: (line) => process.stderr.write(line + "\n"),
  });
  pyodide.unpackArchive(new Uint8Array(readFileSync(bundle)), "zip", { extractDir: "/bundle" });
  pyodide.globals.set("argument", argument);
  pyodide.runPython("import sys; sys.path.insert(0, '/bundle'); sys.argv = ['worker', argument]");
  pyodide.runPython(readFileSync(worker, "utf-8"));
} catch (error) {
  // Node would print the whole minified source of Pyodide with the trace; the message holds Python's own traceback.
  process.stderr.write(String(error.message ?? error) + "\n");
  process.exitCode = 1;
}
