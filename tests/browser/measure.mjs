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
            server_name: `srv-${String(i).padStart(5, '0')}`, timestamp: newest - step * 300, cpu_user_pct: 20 + (i % 50), cpu_idle_pct: 75 - (i % 50),
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
        servers: n, first_paint_ms: Math.round(median(paints)), fleet_body_ms: Math.round(median(lists)),
        frames_per_s: +(1000 * gaps.length / (frames.at(-1) - frames[0])).toFixed(1), frame_p50_ms: +median(gaps).toFixed(1),
        frame_p99_ms: +sorted[Math.floor(sorted.length * 0.99)].toFixed(1), frames_over_34_ms: gaps.filter((gap) => gap > 34).length,
        rows_in_page: await page.locator('.servers li').count(),
    }));
} finally {
    await browser.close();
    await daemon.close();
}
