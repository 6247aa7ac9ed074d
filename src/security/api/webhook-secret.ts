import { createHmac, timingSafeEqual } from 'node:crypto';
import { hashToken, sameHash } from './own-tokens.ts';

/** The setting `WEBHOOK_SECRET`: what those show who tell of pushes and carry no token. Every comparison takes as long for every text. */
export class WebhookSecret {
  readonly #secret: string | undefined;

  /** @param secret undefined: nobody has it */
  constructor(secret: string | undefined) {
    this.#secret = secret;
  }

  /** Whether the text is the secret. */
  is(text: string): boolean {
    return this.#secret !== undefined && sameHash(hashToken(text), hashToken(this.#secret));
  }

  /** Whether `X-Hub-Signature-256` (GitHub, "Validating webhook deliveries": `sha256=` and the HMAC in hex) signs this body with it. */
  signs(body: Uint8Array, signature: string): boolean {
    const hex = /^sha256=([0-9a-f]{64})$/i.exec(signature)?.[1];
    if (this.#secret === undefined || hex === undefined) return false;
    return timingSafeEqual(createHmac('sha256', this.#secret).update(body).digest(), Buffer.from(hex, 'hex'));
  }
}
