import { ApiClient, UserError } from '../client.ts';
import { findLine } from './find.ts';
import { waterfall } from './waterfall.ts';

const [batch, customId, ...rest] = process.argv.slice(2);

try {
  if (batch === undefined || customId === undefined || rest.length > 0) {
    throw new UserError('expected a batch and a document: npm run trace -- <batch id> <custom_id>');
  }
  const line = await findLine(new ApiClient(process.env), batch, customId);
  process.stdout.write(`${waterfall(line).join('\n')}\n`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`spillway trace: ${error.message}\n`);
  process.exitCode = 1;
}
