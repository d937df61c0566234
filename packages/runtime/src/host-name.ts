import { isIP } from 'node:net';

/** Whether nobody but this machine reaches what listens on this host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The name or address in a Host header or in an origin, without port and brackets; empty where there is none. */
export function hostName(origin: string): string {
  const hostname = URL.parse(origin)?.hostname ?? '';
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** Services of a cluster are called so, and nothing on the internet is. */
const OF_CLUSTER = /\.svc(\.cluster\.local)?$/;

/**
 * Whether a request that needs no key came by a name that its sender chose on purpose. A page in a browser can have a name
 * of its own made to lead here and then read what is answered; what it cannot have is an address, this machine's own
 * name or a name of a cluster.
 */
export function isNamedOnPurpose(hostHeader: string, allowed: readonly string[]): boolean {
  const name = hostName(`http://${hostHeader}`);
  return isIP(name) !== 0 || name === 'localhost' || OF_CLUSTER.test(name) || allowed.includes(name);
}

/** Whether a request has several Host headers, so that whoever stands between may have understood another one than we. */
export function hasSeveralHosts(rawHeaders: readonly string[]): boolean {
  return rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === 'host').length > 1;
}
