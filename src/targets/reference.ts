import { PipesError } from '../core/errors.ts';

/**
 * `user/repo:tag` as a host names it. Which registry holds it is no part of it (see `ImageRef`).
 *
 * `user` and `repo` are path components of the distribution specification, so they have no upper case; tags keep theirs.
 */
export interface Reference {
  readonly user: string;
  readonly repo: string;
  readonly tag: string;
}

/** One path component and one tag, as the OCI distribution specification 1.1 ("Pulling manifests") writes them. */
export const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
export const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** Longest path component that pipes takes; registries bound the whole name to 255. */
const COMPONENT_LENGTH = 128;

export const DEFAULT_TAG = 'latest';

/** The user whose repositories are Docker's official images; `_` is its alias (as in Docker Hub's own addresses). */
export const LIBRARY_USER = 'library';

/** Checks the parts and normalises the alias; undefined when a part is not a valid name. */
export function makeReference(user: string, repo: string, tag: string = DEFAULT_TAG): Reference | undefined {
  const owner = user === '_' ? LIBRARY_USER : user;
  if (owner.length > COMPONENT_LENGTH || repo.length > COMPONENT_LENGTH) return undefined;
  if (!COMPONENT.test(owner) || !COMPONENT.test(repo) || !TAG.test(tag)) return undefined;
  return { user: owner, repo, tag };
}

/**
 * Reads `user/repo[:tag]`, as people type it.
 * @throws PipesError `invalid_request`
 */
export function parseReference(text: string): Reference {
  const match = /^([^/:]+)\/([^/:]+)(?::([^/:]+))?$/.exec(text);
  const reference = match && makeReference(match[1]!, match[2]!, match[3]);
  if (!reference) {
    throw new PipesError('invalid_request', `"${text}" is not a reference; write user/repo or user/repo:tag.`);
  }
  return reference;
}

/** `user/repo:tag`; the key of everything that belongs to one target. */
export function printReference(reference: Reference): string {
  return `${reference.user}/${reference.repo}:${reference.tag}`;
}

/** `user/repo`, the key of what all tags of a repository share. */
export function repositoryOf(reference: Reference): string {
  return `${reference.user}/${reference.repo}`;
}
