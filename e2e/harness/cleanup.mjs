// Whatever a test starts is written down here at once and undone on every way out: the end, a failure, Ctrl-C, a crash of the
// test itself. Node runs nothing asynchronous while a process exits, so every undoing is synchronous.

const undoings = [];
let running = false;

/** Registers a synchronous undoing; they run last first. Returns a function that takes it off the list. */
export function onExit(undo) {
  undoings.push(undo);
  return () => {
    const at = undoings.indexOf(undo);
    if (at >= 0) undoings.splice(at, 1);
  };
}

/** Undoes everything now. One undoing that fails is reported and does not keep the others from running. */
export function cleanUp() {
  if (running) return;
  running = true;
  while (undoings.length > 0) {
    const undo = undoings.pop();
    try {
      undo();
    } catch (error) {
      console.error(`cleaning up: ${error.message}`);
    }
  }
  running = false;
}

process.on('exit', cleanUp);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.on(signal, () => {
    cleanUp();
    process.exit(code);
  });
}
