// What the dashboard costs with many servers, printed, never judged: measure.mjs FOREWARN [SERVERS]
import { Daemon, launch, sleep, until, watched } from './browser.mjs';

const [program, servers = '1000'] = process.argv.slice(2);
const n = Number(servers);
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

const daemon = new Daemon(program);
const browser = await launch();
try {
    await daemon.start();
    const newest = Math.floor(Date.now() / 300000) * 300;
    for (let step = 11; step >= 0; step--) {
        const records = Array.from({ length: n }, (_, i) => ({
            labels: { datacenter: `dc${i % 3}`, role: ['web', 'db', 'cache', 'batch'][i % 4], rack: `r${i % 40}` }, server_name: `srv-${String(i).padStart(5, '0')}`, timestamp: newest - step * 300, cpu_user_pct: 20 + (i % 50), cpu_idle_pct: 75 - (i % 50),
            mem_used_pct: 30 + (i % 71) * (i % 9 === 0 ? 1 : 0.6), disk_usage_pct: Math.min(99, 40 + (i % 57) - step * (i % 11 === 0 ? 0.3 : 0)),
        }));
        await daemon.feed(records);
    }
    await daemon.fleet('the fleet', (fleet) => fleet.servers.length === n);
    const { page } = await watched(browser, daemon.url);
    const paints = [], lists = [];
    for (let i = 0; i < 7; i++) {
        await page.goto('about:blank');
        await page.goto(daemon.url);
        await until('the list', async () => await page.locator('.servers li').count() > 0);
        paints.push(await page.evaluate(() => performance.getEntriesByType('paint').find((entry) => entry.name === 'first-contentful-paint')?.startTime ?? NaN));
        lists.push(await page.evaluate(() => performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/api/v1/fleet'))[0]?.responseEnd ?? NaN));
    }
    // What a first visit takes over the wire: page, script, styles, icon; not the fleet's figures.
    const assets = await page.evaluate(async () => {
        const files = [location.href, ...performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => name.includes('/assets/'))];
        const sizes = await Promise.all([...new Set(files)].map(async (name) => [name, performance.getEntriesByName(name)[0]?.encodedBodySize ?? 0]));
        return sizes.reduce((sum, [, size]) => sum + size, 0);
    });
    const fleet = await page.evaluate(() => performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/api/v1/fleet')).map((entry) => [entry.encodedBodySize, entry.decodedBodySize])[0]);
    const typing = await page.evaluate(async () => {
        const search = document.querySelector('#search'), times = [];
        for (const text of ['d', 'datacenter=', 'datacenter=dc1', 'datacenter=~dc[01]', 'datacenter=dc1 role=web', 'srv-00', '']) {
            const from = performance.now();
            search.value = text;
            search.dispatchEvent(new Event('input'));
            document.documentElement.getBoundingClientRect();
            times.push(performance.now() - from);
        }
        return Math.max(...times);
    });
    await sleep(500);
    const frames = await page.evaluate(() => new Promise((done) => {
        const times = [];
        const from = performance.now();
        const step = (now) => {
            times.push(now);
            scrollBy(0, 90);
            if (innerHeight + scrollY >= document.documentElement.scrollHeight - 2) scrollTo(0, 0);
            if (now - from < 5000) requestAnimationFrame(step);
            else done(times);
        };
        requestAnimationFrame(step);
    }));
    const gaps = frames.slice(1).map((time, i) => time - frames[i]);
    const sorted = [...gaps].sort((a, b) => a - b);
    console.log(JSON.stringify({
        servers: n, compressed_bytes: assets, fleet_bytes: fleet, slowest_key_ms: Math.round(typing), first_paint_ms: Math.round(median(paints)), fleet_body_ms: Math.round(median(lists)),
        frames_per_s: +(1000 * gaps.length / (frames.at(-1) - frames[0])).toFixed(1), frame_p50_ms: +median(gaps).toFixed(1),
        frame_p99_ms: +sorted[Math.floor(sorted.length * 0.99)].toFixed(1), frames_over_34_ms: gaps.filter((gap) => gap > 34).length,
        rows_in_page: await page.locator('.servers li').count(),
    }));
} finally {
    await browser.close();
    await daemon.close();
}
