import { printReference, type Reference } from '../targets/reference.ts';
import type { Instance } from './instance.ts';

/** Every instance that is not absent, found by reference or by container. */
export class InstanceRoster {
  readonly #make: (reference: Reference) => Instance;
  /** A tag that is written in another case than it has stands here beside its true name. */
  readonly #byKey = new Map<string, Instance>();
  readonly #byContainer = new Map<string, Instance>();

  /** @param make called for a reference that has no instance yet */
  constructor(make: (reference: Reference) => Instance) {
    this.#make = make;
  }

  get(key: string): Instance | undefined {
    return this.#byKey.get(key);
  }

  /** The instance that this container belongs to. */
  inContainer(containerId: string): Instance | undefined {
    return this.#byContainer.get(containerId);
  }

  /** Each once, whatever names it has. */
  all(): ReadonlySet<Instance> {
    return new Set(this.#byKey.values());
  }

  /** Each with the container that it has. */
  contained(): Iterable<[string, Instance]> {
    return this.#byContainer;
  }

  /** The instance of this reference, made where there is none. */
  obtain(reference: Reference): Instance {
    const key = printReference(reference);
    const known = this.#byKey.get(key);
    if (known) return known;
    const instance = this.#make(reference);
    this.#byKey.set(key, instance);
    return instance;
  }

  /** From now on this name means that instance too. */
  alias(reference: Reference, instance: Instance): void {
    this.#byKey.set(printReference(reference), instance);
  }

  /** The instance has changed, and had this container before. */
  noteContainer(instance: Instance, before: string | undefined): void {
    const after = instance.containerId;
    if (before !== undefined && before !== after && this.#byContainer.get(before) === instance) this.#byContainer.delete(before);
    if (after !== undefined) this.#byContainer.set(after, instance);
  }

  /** Whoever asks for names that do not exist must not fill the roster. */
  dropIfAbsent(instance: Instance): void {
    if (instance.status.name !== 'absent' || instance.busy) return;
    for (const [key, other] of this.#byKey) if (other === instance) this.#byKey.delete(key);
  }
}
