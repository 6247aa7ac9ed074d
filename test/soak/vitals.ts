import { processFacts } from '../lab/process-facts.ts';
import { Inspector } from './inspector.ts';

/** What a process holds at one moment, after a collection. */
export interface Vitals {
  readonly heapBytes: number;
  readonly openFiles: number;
  readonly sockets: number;
  /** Listeners of the process object. */
  readonly listeners: number;
  /** Timers, sockets, servers and whatever else keeps an event loop alive: how many of each kind. */
  readonly resources: Readonly<Record<string, number>>;
}

export async function takeVitals(pid: number, inspectorPort: number): Promise<Vitals> {
  const inspector = await Inspector.connect(inspectorPort);
  try {
    // What weak references and finalizers let go of is free only at the second time.
    await inspector.collectGarbage();
    await inspector.collectGarbage();
    const heapBytes = (await inspector.evaluate('process.memoryUsage().heapUsed')) as number;
    const kinds = (await inspector.evaluate('process.getActiveResourcesInfo()')) as string[];
    const listeners = (await inspector.evaluate('process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)')) as number;
    const resources: Record<string, number> = {};
    for (const kind of kinds.sort()) resources[kind] = (resources[kind] ?? 0) + 1;
    const { openFiles, sockets } = processFacts(pid);
    return { heapBytes, openFiles, sockets, listeners, resources };
  } finally {
    await inspector.close();
  }
}
