import type { Log } from '../core/log.ts';
import type { Firewall } from './firewall.ts';
import type { AppsBridge } from './networks.ts';

export interface EgressOptions {
  /** The setting `EGRESS`: `internet` keeps containers from the LAN, metadata services and this machine; `all` lets them. */
  readonly egress: 'internet' | 'all';
  readonly firewall: Firewall;
  /** @throws PipesError `engine_unavailable` */
  readonly findBridge: () => Promise<AppsBridge>;
  readonly log: Log;
}

/**
 * Keeps `EGRESS`: the rules stand before a container starts, and are put back when somebody flushed them. Where pipes cannot set them,
 * one warning says so and containers run without: the operator may have set them.
 */
export class Egress {
  readonly #options: EgressOptions;
  #ready: Promise<void> | undefined;
  #current: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #obstacle: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EgressOptions) {
    this.#options = options;
  }

  start(): void {
    this.renew();
    if (this.#options.egress === 'internet') this.#timer = setInterval(() => void this.#look().catch(() => undefined), LOOK_EVERY_MS).unref();
  }

  /** The rules stay: containers go on running without pipes. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Waits until the rules stand, or cannot. @throws PipesError `engine_unavailable` */
  async ready(): Promise<void> {
    if (!this.#ready) this.renew();
    await this.#ready;
  }

  /** The engine came back, and may have flushed them: starts wait until they stand again. What failed is tried again by the next who needs it. */
  renew(): void {
    const look = this.#look();
    this.#ready = look;
    look.catch(() => {
      if (this.#ready === look) this.#ready = undefined;
    });
  }

  /** One look at a time, and one more for all who ask meanwhile. */
  #look(): Promise<void> {
    this.#next ??= this.#current.catch(() => undefined).then(() => {
      this.#next = undefined;
      this.#current = this.#keep();
      return this.#current;
    });
    return this.#next;
  }

  async #keep(): Promise<void> {
    const { egress, firewall, findBridge } = this.#options;
    // Rules that an earlier start has left would go on holding.
    if (egress === 'all') {
      await firewall.drop().catch((thrown: unknown) => this.#options.log.info(`EGRESS=all: whether rules of an earlier start still stand cannot be told (${(thrown as Error).message})`));
      return;
    }
    const found = await findBridge();
    const obstacle = 'obstacle' in found ? found.obstacle : await firewall.keep(found.bridge).then(() => undefined, (thrown: unknown) => (thrown as Error).message);
    if (obstacle !== undefined && obstacle !== this.#obstacle) this.#options.log.warn(`${UNKEPT} (${obstacle}); ${ADVICE}`);
    if (obstacle === undefined && this.#obstacle !== undefined) this.#options.log.info('EGRESS=internet is kept from now on');
    this.#obstacle = obstacle;
  }
}

const LOOK_EVERY_MS = 30_000;

const UNKEPT = 'EGRESS=internet is not kept by pipes';
const ADVICE = 'unless somebody else does, apps reach the LAN, 169.254.169.254 and services of the machine. docs/security.md has the commands; EGRESS=all ends this warning';
