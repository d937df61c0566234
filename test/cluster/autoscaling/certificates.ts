import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Whom the one authority of a control plane vouches for: servers on this machine, and the API server when it asks KEDA. */
const NAMES = 'subjectAltName=DNS:localhost,DNS:keda-metrics-apiserver.keda.svc,IP:127.0.0.1';

/**
 * An authority of the run's own (`ca.crt`), what every server here shows and KEDA's two halves show each other (`tls`),
 * what the API server shows to KEDA's metrics server (`proxy`), and the key of service accounts.
 */
export async function writeCertificates(directory: string): Promise<void> {
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args, { cwd: directory });
  const key = ['-newkey', 'rsa:2048', '-noenc'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=authority');
  await writeFile(join(directory, 'names'), NAMES);
  for (const [file, name] of [
    ['tls', 'localhost'],
    ['proxy', 'front-proxy'],
  ] as const) {
    await openssl('req', ...key, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', `/CN=${name}`);
    const signed = ['x509', '-req', '-in', `${file}.csr`, '-out', `${file}.crt`, '-extfile', 'names', '-days', '2'];
    await openssl(...signed, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial');
  }
  await openssl('genrsa', '-out', 'accounts.key', '2048');
}
