// What the browser tests share: a daemon of one's own, Debian's Chromium, and the watch over what a page does.
// Playwright and axe come from web/node_modules, where `npm ci` puts them.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, condition, seconds = 30) {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
        const found = await condition();
        if (found) return found;
        if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`);
        await sleep(100);
    }
}

function startProcess(program, args, environment, greeting) {
    const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.endsWith('_API_KEY') && !name.startsWith('FOREWARN_')));
    const child = spawn(program, args, { env: { ...kept, ...environment }, stdio: ['ignore', 'pipe', 'inherit'] });
    const found = new Promise((done, fail) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
            const match = greeting.exec(line);
            if (match) done(Number(match[1]));
        });
        child.once('exit', (code) => fail(new Error(`${program} ended with ${code}`)));
    });
    found.catch(() => undefined);
    return { child, found };
}

export class Daemon {
    constructor(program, { key = '', step = 300 } = {}) {
        Object.assign(this, { program, key, step, port: 0 });
        this.dir = mkdtempSync(join(tmpdir(), 'forewarn-browser-'));
    }

    /** A second start takes the same port and the same data. */
    async start() {
        const environment = { FOREWARN_LOG_LEVEL: 'error', ...(this.key === '' ? {} : { FOREWARN_API_KEY: this.key }) };
        const args = ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', join(this.dir, 'data'), '--step', String(this.step), '--rate-limit', 'off',
            '--set', 'forecast.min_interval=1'];
        const { child, found } = startProcess(this.program, args, environment, /listening on http:\/\/127\.0\.0\.1:(\d+)/);
        this.child = child;
        this.port = await found;
        this.url = `http://127.0.0.1:${this.port}/`;
        await until('the daemon', async () => (await this.get('readyz').catch(() => ({}))).status === 200);
    }

    async stop(signal = 'SIGTERM') {
        if (this.child === undefined || this.child.exitCode !== null) return;
        const gone = new Promise((done) => this.child.once('exit', done));
        this.child.kill(signal);
        await gone;
    }

    async close() {
        await this.stop();
        rmSync(this.dir, { recursive: true, force: true });
    }

    headers() {
        return this.key === '' ? {} : { 'X-API-Key': this.key };
    }

    get(path) {
        return fetch(this.url + path, { headers: this.headers() });
    }

    async feed(records) {
        const answer = await fetch(`${this.url}feed/data`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...this.headers() }, body: JSON.stringify({ records }) });
        if (answer.status !== 200) throw new Error(`feed: ${answer.status} ${await answer.text()}`);
        return answer.json();
    }

    /** The fleet's body, once it satisfies the condition. */
    fleet(what, condition) {
        return until(what, async () => {
            const answer = await this.get('api/v1/fleet');
            if (answer.status !== 200) return null;
            const body = await answer.json();
            return condition(body) ? body : null;
        });
    }
}

/** Hours of five-minute steps that end now; a column is a function of the steps that are left. */
export function history(name, steps, columns, step = 300) {
    const newest = Math.floor(Date.now() / 1000 / step) * step;
    return Array.from({ length: steps }, (_, i) => {
        const left = steps - 1 - i;
        const values = Object.fromEntries(Object.entries(columns).map(([metric, of]) => [metric, typeof of === 'number' ? of : of(left)]));
        return { server_name: name, timestamp: newest - left * step, ...values };
    });
}

/** A page whose every request, console line and policy violation is remembered. */
export async function watched(browser, origin, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: 'UTC', ...options });
    const page = await context.newPage();
    const seen = { errors: [], foreign: [], dialogs: 0, offline: false };
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type()) && !seen.offline) seen.errors.push(message.text());
    });
    page.on('response', (response) => {
        if (response.status() >= 400 && !seen.offline) seen.errors.push(`${response.status()} ${response.url()}`);
    });
    page.on('pageerror', (error) => seen.errors.push(String(error)));
    page.on('request', (request) => {
        if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) seen.foreign.push(request.url());
    });
    page.on('dialog', (dialog) => {
        seen.dialogs++;
        void dialog.dismiss();
    });
    await page.addInitScript(() => {
        window.__violations = [];
        document.addEventListener('securitypolicyviolation', (event) => window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    return { context, page, seen };
}

const checks = [];
export const check = (name, body) => checks.push([name, body]);

export function equal(what, got, expected) {
    if (got !== expected) throw new Error(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
}

export function truth(what, got) {
    if (!got) throw new Error(what);
}

/** Runs every check; one that fails does not keep the others from running. */
export async function run(program, only = '') {
    const browser = await launch();
    let failed = 0;
    try {
        for (const [name, body] of checks.filter(([name]) => name.includes(only))) {
            const started = Date.now();
            try {
                await body(browser, program);
                console.log(`ok   ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
            } catch (error) {
                failed++;
                console.log(`FAIL ${name}\n     ${error.stack ?? error}`);
            }
        }
    } finally {
        await browser.close();
    }
    process.exitCode = failed === 0 ? 0 : 1;
}
