import { Validator } from '@seriousme/openapi-schema-validator';

/** What an OpenAPI document has wrong; nothing for a valid one. */
export async function validate(document: object): Promise<unknown[]> {
  const result = await new Validator().validate(structuredClone(document) as Record<string, unknown>);
  if (result.valid) return [];
  return Array.isArray(result.errors) ? result.errors : [result.errors];
}
