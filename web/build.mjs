// Bundles src/ into one script, one style sheet, an icon and two pages. `node build.mjs [DIR]`; DIR is
// ../src/web/dist unless given. The same sources give the same bytes.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, '../src/web/dist');
const read = (...parts) => readFileSync(join(here, ...parts));

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });

const bundle = await build({
    entryPoints: [join(here, 'src/main.ts'), join(here, 'src/style.css')],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    target: ['chrome109', 'firefox115', 'safari16'],
    outdir: 'assets',
    legalComments: 'none',
    logLevel: 'warning',
});

const names = {};
const keep = (stem, extension, bytes) => {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 10);
    names[extension] = `${stem}-${hash}.${extension}`;
    writeFileSync(join(out, 'assets', names[extension]), bytes);
};
for (const file of bundle.outputFiles)
    keep('app', file.path.split('.').pop(), file.contents);
keep('icon', 'svg', read('src/icon.svg'));
writeFileSync(join(out, 'assets/licences.txt'), read('LICENSES/uplot.txt'));

const page = read('src/index.html').toString();
for (const [name, base] of [['index.html', ''], ['below.html', '../']])
    writeFileSync(join(out, name), page.replace(/%(js|css|svg)%/g, (_, kind) => `${base}assets/${names[kind]}`));
