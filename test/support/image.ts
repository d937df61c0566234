import { spawnSync } from 'node:child_process';
import { chmod, cp, glob, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, matchesGlob } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** One instruction of a Dockerfile; ours has each on one line. */
type Instruction = { readonly name: string; readonly rest: string };

type Stage = { readonly from: string; readonly as: string; readonly instructions: readonly Instruction[] };

/** What a target of the Dockerfile says of itself. */
export type ImageSettings = {
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly user: string;
};

/** A target of the Dockerfile as far as it can be made without a container engine: its root directory, and its settings. */
export type Image = AsyncDisposable & ImageSettings & { readonly root: string };

/**
 * Does what the Dockerfile says for one target: COPY honours .dockerignore, RUN runs on this machine, with absolute paths
 * in the image's root. What the base image brings is this machine's Debian and Node.
 */
export async function buildImage(target: string): Promise<Image> {
  const stages = readStages(await readFile(join(ROOT, 'Dockerfile'), 'utf8'));
  const ignored = await readIgnored();
  const directory = await mkdtemp(join(tmpdir(), 'spillway-image-'));
  await chmod(directory, 0o755);
  const build = new Build(directory, stages, ignored);
  await build.stage(target);
  return {
    ...settingsOf(stages, target),
    root: join(directory, target),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** What an image of the Dockerfile says of itself, unbuilt. */
export async function settingsOfImage(target: string): Promise<ImageSettings> {
  return settingsOf(readStages(await readFile(join(ROOT, 'Dockerfile'), 'utf8')), target);
}

export function readStages(text: string): Stage[] {
  const stages: { from: string; as: string; instructions: Instruction[] }[] = [];
  for (const line of text.split('\n')) {
    const [, name = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [, from = '', as = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      stages.push({ from, as, instructions: [] });
    } else if (name !== '') stages.at(-1)?.instructions.push({ name, rest });
  }
  return stages;
}

/** The instructions that hold for a stage: those of the stages below it first. */
function chain(stages: readonly Stage[], target: string): Instruction[] {
  const stage = stages.find(({ as }) => as === target);
  return stage === undefined ? [] : [...chain(stages, stage.from), ...stage.instructions];
}

function settingsOf(stages: readonly Stage[], target: string): ImageSettings {
  const all = chain(stages, target);
  const last = (name: string): string => all.findLast((one) => one.name === name)?.rest ?? '';
  const assignments = all.filter(({ name }) => name === 'ENV').flatMap(({ rest }) => rest.split(' '));
  return {
    workdir: last('WORKDIR'),
    user: last('USER'),
    entrypoint: JSON.parse(last('ENTRYPOINT') || '[]') as string[],
    command: JSON.parse(last('CMD') || '[]') as string[],
    healthcheck: JSON.parse(last('HEALTHCHECK').replace(/^.*?CMD /, '') || '[]') as string[],
    env: Object.fromEntries(assignments.map((one) => one.split('=', 2) as [string, string])),
  };
}

class Build {
  readonly #directory: string;
  readonly #stages: readonly Stage[];
  readonly #isIgnored: (path: string) => boolean;

  constructor(directory: string, stages: readonly Stage[], isIgnored: (path: string) => boolean) {
    this.#directory = directory;
    this.#stages = stages;
    this.#isIgnored = isIgnored;
  }

  async stage(name: string): Promise<void> {
    const stage = this.#stages.find(({ as }) => as === name);
    if (stage === undefined) throw new Error(`the Dockerfile has no stage ${name}`);
    const root = join(this.#directory, name);
    const below = this.#stages.find(({ as }) => as === stage.from);
    if (below === undefined) await mkdir(root);
    else {
      await this.stage(below.as);
      await rename(join(this.#directory, below.as), root);
    }
    let workdir =
      below === undefined
        ? '/'
        : (chain(this.#stages, below.as).findLast((one) => one.name === 'WORKDIR')?.rest ?? '/');
    for (const { name: instruction, rest } of stage.instructions) {
      if (instruction === 'WORKDIR') await mkdir(join(root, (workdir = rest)), { recursive: true });
      else if (instruction === 'RUN') run(rest, root, workdir);
      else if (instruction === 'COPY') await this.#copy(rest, join(root, workdir));
    }
  }

  async #copy(rest: string, workdir: string): Promise<void> {
    const [, from, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
    const words = paths.split(' ');
    const sources = words.slice(0, -1);
    const to = words.at(-1) ?? '';
    if (from !== undefined) {
      await this.stage(from);
      for (const source of sources) {
        const inside = join(this.#directory, from, source);
        for (const name of await readdir(inside)) await rename(join(inside, name), join(workdir, to, name));
      }
      await rm(join(this.#directory, from), { recursive: true });
      return;
    }
    for (const source of sources) {
      const target = to.endsWith('/') ? join(workdir, to, basename(source)) : join(workdir, to);
      await mkdir(dirname(target), { recursive: true });
      const filter = (path: string): boolean => !this.#isIgnored(path.slice(ROOT.length));
      await cp(join(ROOT, source), target, { recursive: true, filter });
    }
  }
}

function run(command: string, root: string, workdir: string): void {
  const inside = command.replaceAll(/ (\/[a-z])/g, ` ${root}$1`);
  const { status, stderr, stdout } = spawnSync('sh', ['-c', inside], { cwd: join(root, workdir), encoding: 'utf8' });
  if (status !== 0) throw new Error(`RUN ${command}: ${stderr}${stdout}`);
}

/** Whether .dockerignore leaves a path out; the last line that fits decides. */
async function readIgnored(): Promise<(path: string) => boolean> {
  const lines = (await readFile(join(ROOT, '.dockerignore'), 'utf8')).split('\n');
  const rules = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return (path) => {
    const parts = path.split('/');
    const heads = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    let ignored = false;
    for (const rule of rules) {
      const pattern = rule.replace(/^!/, '');
      if (heads.some((head) => matchesGlob(head, pattern))) ignored = !rule.startsWith('!');
    }
    return ignored;
  };
}

/** Every workspace of the repository, as npm names their folders. */
export async function workspaces(): Promise<string[]> {
  const found = await Array.fromAsync(glob('{packages,services}/*/package.json', { cwd: ROOT }));
  return found.map((path) => dirname(path)).toSorted();
}
