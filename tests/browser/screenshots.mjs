// The pictures of docs/: every page, light and dark, on a desk and on a phone, of a daemon that is running.
// screenshots.mjs URL DIR [SERVER [PAGE,...]]
import { launch, sleep, until } from './browser.mjs';

const [url, directory, server = 'ppdb001', only = ''] = process.argv.slice(2);
const HEIGHT_MAX = 2000;
const pages = { fleet: '', server: `servers/${server}`, alerts: 'dashboard/alerts', outlook: 'dashboard/outlook', trust: 'dashboard/trust', system: 'dashboard/system' };

const browser = await launch();
for (const [width, height] of [[1440, 900], [390, 844]]) {
    for (const colorScheme of ['light', 'dark']) {
        const context = await browser.newContext({ viewport: { width, height }, colorScheme, timezoneId: 'UTC' });
        const page = await context.newPage();
        for (const [name, path] of Object.entries(pages)) {
            if (only !== '' && !only.split(',').includes(name)) continue;
            await page.setViewportSize({ width, height });
            await page.goto(url + path);
            await until(name, async () => await page.locator('main h1').count() > 0);
            await sleep(name === 'system' ? 10000 : 1500);
            // The forecast made some hours ago, where one is kept.
            const earlier = page.locator('.fan-bar [role="group"]').last().locator('button');
            if (name === 'server' && await page.locator('.fan-bar [role="group"]:visible').count() > 1) await earlier.last().click();
            if (name !== 'fleet') {
                const whole = await page.evaluate(() => document.documentElement.scrollHeight);
                await page.setViewportSize({ width, height: Math.max(height, Math.min(whole, HEIGHT_MAX)) });
            }
            await sleep(500);
            await page.screenshot({ path: `${directory}/${name}-${width}-${colorScheme}.png` });
        }
        await context.close();
    }
}
await browser.close();
