/**
 * Runs before all else of the page: a link to a finding asks a worker, and its code takes longer to
 * read than the page's. `client.ts` takes the worker over.
 */
declare global {
  var earlyWorker: Worker | undefined
}

// A token begins like this, and no screen. With a design of its own it is another worker's.
if (location.hash.startsWith('#rm') && !location.hash.includes('&d=')) {
  const worker = new Worker('worker.js')
  // Who comes for it makes one of its own then, and hears why that fails.
  worker.onerror = () => {
    globalThis.earlyWorker = undefined
  }
  globalThis.earlyWorker = worker
}

export {}
