/** A login for one registry: user and password, or an identity token as `docker login` may keep it. */
export interface RegistryLogin {
  readonly registry: string;
  readonly username: string;
  readonly password: string;
  readonly email?: string;
  readonly identityToken?: string;
}
