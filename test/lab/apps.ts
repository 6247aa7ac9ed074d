import { randomBytes } from 'node:crypto';
import { FixtureImages, type ImageRecipe } from './images.ts';
import { useLab } from './lab.ts';
import type { RegistryLogin } from './registry.ts';

/** An image in a registry under the name that a host stands for. */
export interface App {
  /** `user/repo:tag`. */
  readonly reference: string;
  readonly host: string;
  /** As the engine names it. */
  readonly image: string;
}

export interface AppsOptions {
  readonly dockerHost?: string;
  /** Default: the lab's open one. */
  readonly registry?: string;
  readonly login?: RegistryLogin;
}

/**
 * The apps of one test file. Their user is a name that nobody else has: engines and containers may be shared with other runs. Every image
 * tells its reference (`mimic` by `/whoami` and `/`), so a test sees whose answer it got.
 */
export class Apps {
  readonly user: string;
  readonly images: FixtureImages;
  readonly #registry: string;
  readonly #login: RegistryLogin | undefined;

  constructor(theme: string, options: AppsOptions = {}) {
    this.user = `${theme}-${randomBytes(3).toString('hex')}`;
    this.images = new FixtureImages(options.dockerHost ?? useLab().dockerHost);
    this.#registry = options.registry ?? useLab().openRegistry;
    this.#login = options.login;
  }

  /** Names without making anything. */
  app(repo: string, tag = 'main'): App {
    const reference = `${this.user}/${repo}:${tag}`;
    return { reference, host: `${tag === 'latest' ? '' : `${tag.toLowerCase()}.`}${repo}.${this.user}.localhost`, image: `${this.#registry}/${reference}` };
  }

  /** In the registry, not in the engine: it has to be pulled. */
  async publish(repo: string, recipe: Partial<ImageRecipe> = {}, tag = 'main'): Promise<App> {
    const app = this.app(repo, tag);
    await this.images.publish(app.image, telling(app, recipe), this.#login);
    return app;
  }

  /** In the engine, in no registry. */
  async build(repo: string, recipe: Partial<ImageRecipe> = {}, tag = 'main'): Promise<App> {
    const app = this.app(repo, tag);
    await this.images.build(app.image, telling(app, recipe));
    return app;
  }
}

/** What `GET /` of an app answers. */
export function greeting(app: App): string {
  return `mimic ${app.reference}\n`;
}

function telling(app: App, recipe: Partial<ImageRecipe>): ImageRecipe {
  return { from: 'mimic', ...recipe, env: { VERSION: app.reference, ...recipe.env } };
}
