import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DurationTally } from './duration-tally.ts';
import { openFiles } from './open-files.ts';
import { CODE_CLASSES, METHOD_CLASSES, REQUEST_BOUNDS_S, type RequestTally } from './request-tally.ts';
import { WAKE_BOUNDS_S, WAKE_ORIGINS, WAKE_PARTS, type WakeTally } from './wake-tally.ts';

/** What the metrics are read from, each time that somebody asks for them. */
export interface MetricsSources {
  readonly version: string;
  readonly requests: RequestTally;
  readonly wakes: WakeTally;
  /** Requests and upgraded connections that are not over. */
  readonly openRequests: () => number;
  /** How many instances there are in each state, also in those that none is in. */
  readonly instances: () => ReadonlyMap<string, number>;
  readonly queues: Readonly<Record<string, { readonly waiting: number; readonly running: number }>>;
  readonly isEngineUp: () => boolean;
  /** HTTP requests sent to the engine so far. */
  readonly engineCalls: () => number;
}

/**
 * The metrics of one process, in Prometheus's text format. Nothing is counted here: who does the work keeps plain numbers, and they
 * are read when somebody asks. No label has more values than pipes itself has words: nothing a client sends becomes one.
 *
 * Of the process itself only what costs nothing at rest is told; prom-client's own defaults keep a timer going all the time.
 */
export class Metrics {
  readonly #registry = new Registry();

  constructor(sources: MetricsSources) {
    this.#addRequests(sources);
    this.#addWakes(sources);
    this.#addInstances(sources);
    this.#addProcess(sources);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  #addRequests({ requests, openRequests }: MetricsSources): void {
    const series = (): Series[] => METHOD_CLASSES.flatMap((method, row) => CODE_CLASSES.map((code, column) => ({ labels: { method, code }, tally: requests.durations[row]![column]! })));
    this.#durations('pipes_request_duration_seconds', 'Forwarded requests, from their head to the end of their answer, waiting for the target included', REQUEST_BOUNDS_S, series);
    this.#counter('pipes_requests_total', 'Forwarded requests that ended', () => series().filter(seen).map(({ labels, tally }) => [labels, tally.count]));
    this.#counter('pipes_failures_total', 'Requests for targets that were refused, failed or broke off, by error code', () => Object.entries(requests.failures).map(([code, count]) => [{ code }, count]));
    this.#counter('pipes_received_bytes_total', 'Bytes of bodies and upgraded connections taken from clients, counted when their request ends', () => [[{}, requests.bytesIn]]);
    this.#counter('pipes_sent_bytes_total', 'Bytes of bodies and upgraded connections given to clients, counted when their request ends', () => [[{}, requests.bytesOut]]);
    this.#gauge('pipes_open_requests', 'Requests and upgraded connections to targets that are not over', () => [[{}, openRequests()]]);
  }

  #addWakes({ wakes }: MetricsSources): void {
    const totals = (): Series[] => WAKE_ORIGINS.map((from) => ({ labels: { from }, tally: wakes.totals[from] }));
    this.#counter('pipes_wakes_total', 'Wakes that ended well, by what the instance was before', () => totals().map(({ labels, tally }) => [labels, tally.count]));
    this.#durations('pipes_wake_duration_seconds', 'Wakes that ended well, from the first request to ready', WAKE_BOUNDS_S, totals);
    this.#durations('pipes_wake_part_duration_seconds', 'The parts of wakes that ended well, where they were needed', WAKE_BOUNDS_S, () =>
      WAKE_ORIGINS.flatMap((from) => WAKE_PARTS.map((part) => ({ labels: { from, part }, tally: wakes.parts[from][part] }))),
    );
  }

  #addInstances({ instances, queues, isEngineUp, engineCalls }: MetricsSources): void {
    this.#gauge('pipes_instances', 'Instances by state', () => [...instances()].map(([state, count]) => [{ state }, count]));
    this.#gauge('pipes_queue_jobs', 'Jobs of the bounded queues, by whether they wait or run', () =>
      Object.entries(queues).flatMap(([queue, { waiting, running }]): Sample[] => [
        [{ queue, state: 'waiting' }, waiting],
        [{ queue, state: 'running' }, running],
      ]),
    );
    this.#gauge('pipes_engine_up', '1 while the container engine answers and tells what happens, else 0', () => [[{}, isEngineUp() ? 1 : 0]]);
    this.#counter('pipes_engine_calls_total', 'HTTP requests sent to the container engine', () => [[{}, engineCalls()]]);
  }

  #addProcess({ version }: MetricsSources): void {
    const startedS = performance.timeOrigin / 1000;
    this.#gauge('pipes_build_info', 'Always 1; its labels say what runs', () => [[{ version, node: process.version }, 1]]);
    this.#gauge('pipes_process_start_time_seconds', 'When the process began, in seconds since 1970', () => [[{}, startedS]]);
    this.#counter('pipes_process_cpu_seconds_total', 'Processor time of the process', () => {
      const { user, system } = process.cpuUsage();
      return [[{ mode: 'user' }, user / 1e6], [{ mode: 'system' }, system / 1e6]];
    });
    this.#counter('pipes_process_event_loop_busy_seconds_total', 'Time that the event loop was at work, and not waiting', () => [[{}, performance.eventLoopUtilization().active / 1000]]);
    this.#gauge('pipes_process_resident_memory_bytes', 'Memory that the process holds', () => [[{}, process.memoryUsage.rss()]]);
    this.#gauge('pipes_process_heap_bytes', 'Memory in use by JavaScript objects', () => [[{}, process.memoryUsage().heapUsed]]);
    this.#gauge('pipes_process_open_fds', 'Open file descriptors; only on Linux', async () => drawFiles((await openFiles())?.open));
    this.#gauge('pipes_process_max_fds', 'Most file descriptors that may be open; only on Linux', async () => drawFiles((await openFiles())?.most));
  }

  #counter(name: string, help: string, samples: () => Sample[]): void {
    new Counter({
      name,
      help,
      labelNames: LABEL_NAMES,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.inc(labels, value);
      },
    });
  }

  #gauge(name: string, help: string, samples: () => Sample[] | Promise<Sample[]>): void {
    new Gauge({
      name,
      help,
      labelNames: LABEL_NAMES,
      registers: [this.#registry],
      async collect() {
        const drawn = await samples();
        this.reset();
        for (const [labels, value] of drawn) this.set(labels, value);
      },
    });
  }

  #durations(name: string, help: string, boundsS: readonly number[], series: () => Series[]): void {
    this.#registry.registerMetric(new TalliedHistogram(name, help, boundsS, () => series().filter(seen)));
  }
}

/** Every label there is. Prometheus asks for few, of few values; docs/metrics.md says which metric has which. */
const LABEL_NAMES = ['method', 'code', 'from', 'part', 'state', 'queue', 'mode', 'version', 'node'] as const;

type Labels = Partial<Record<(typeof LABEL_NAMES)[number], string>>;
type Sample = [labels: Labels, value: number];

interface Series {
  readonly labels: Labels;
  readonly tally: DurationTally;
}

/** What never happened is left out of histograms: each of their series is a dozen lines. */
function seen({ tally }: Series): boolean {
  return tally.count > 0;
}

function drawFiles(count: number | undefined): Sample[] {
  return count === undefined ? [] : [[{}, count]];
}

type Drawn = ReturnType<Histogram['get']>;

/** A histogram that is counted elsewhere: prom-client's own would hash its labels at each observation. */
class TalliedHistogram extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #series: () => Series[];

  constructor(name: string, help: string, boundsS: readonly number[], series: () => Series[]) {
    super({ name, help, labelNames: LABEL_NAMES, buckets: [...boundsS], registers: [] });
    this.#name = name;
    this.#help = help;
    this.#series = series;
  }

  override get(): Drawn {
    const values = this.#series().flatMap(({ labels, tally }) => this.#draw(labels, tally));
    return Promise.resolve({ name: this.#name, help: this.#help, type: 'histogram', values, aggregator: 'sum', collect: () => undefined } as unknown as Awaited<Drawn>);
  }

  /** What the registry really calls for the text; prom-client 15 does not tell its types. */
  getForPromString(): Drawn {
    return this.get();
  }

  #draw(labels: Labels, tally: DurationTally): { metricName: string; labels: object; value: number }[] {
    let below = 0;
    const buckets = [...tally.boundsS, '+Inf'].map((le, index) => {
      below += tally.counts[index]!;
      return { metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: below };
    });
    return [...buckets, { metricName: `${this.#name}_sum`, labels, value: tally.sumS }, { metricName: `${this.#name}_count`, labels, value: tally.count }];
  }
}
