import { createHash } from "node:crypto";

const urls = /https?:\/\/[^\s"'`<>]+/g;

/**
 * The name of a scorer as messages and files may hold it. URLs in it lose user, password, fragment
 * and the values of their query, any of which may be a token.
 */
export function publicScorerName(scorer: string): string {
  return scorer.replace(urls, publicUrl);
}

/**
 * Tells a scorer from others of the same public name, as the query of a URL may choose a model: a
 * few bits of a hash, too few to find a token by. Users and passwords have no part in it.
 */
export function scorerTag(scorer: string): string {
  const settings = scorer.replace(urls, (text) => (URL.canParse(text) ? withoutUser(new URL(text)).href : text));
  return createHash("sha256").update(settings).digest("hex").slice(0, 4);
}

/**
 * A text that others wrote, such as a server's answer, with what is secret in a scorer's name taken
 * out.
 */
export function withoutSecrets(text: string, scorer: string): string {
  const secrets = [...scorer.matchAll(urls)].flatMap(([url]) => secretsOf(url)).sort((a, b) => b.length - a.length);
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "…"), publicScorerName(text));
}

function publicUrl(text: string): string {
  if (!URL.canParse(text)) return "http…";
  const { origin, pathname, searchParams } = new URL(text);
  const keys = [...new Set(searchParams.keys())].map((key) => `${encodeURIComponent(key)}=…`);
  // A key without a value is a value.
  const query = [...searchParams.values()].every((value) => value !== "") ? keys.join("&") : "…";
  return `${origin}${pathname}${query && `?${query}`}`;
}

function withoutUser(url: URL): URL {
  url.username = "";
  url.password = "";
  return url;
}

/**
 * Every part of a URL that may be a secret, as it is written and as it is meant. Very short ones
 * say nothing.
 */
function secretsOf(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { username, password, search } = new URL(text);
  // Of a key with a value the value, of a key alone the key.
  const query = search
    .slice(1)
    .split("&")
    .map((part) => part.slice(part.indexOf("=") + 1));
  const parts = [username, password, ...query];
  return parts.flatMap((part) => [part, decoded(part)]).filter((part) => part.length >= 4);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
