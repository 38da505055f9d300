// The dashboard's main tasks in a real browser, against a real daemon: dashboard.mjs FOREWARN
import { axeSource, check, Daemon, equal, history, run, truth, until, watched } from './browser.mjs';

const PAGES = ['', '?map=dc&q=dc%3Dfra1', 'servers/db-filling', 'dashboard/alerts', 'dashboard/outlook', 'dashboard/trust', 'dashboard/system'];
const STEPS = 170;

const labelled = (labels, records) => records.map((record) => ({ ...record, labels }));

/** Two calm servers and a disk that will be full in about five hours. */
async function withFleet(program, body, options) {
    const daemon = new Daemon(program, options);
    try {
        await daemon.start();
        const calm = { cpu_user_pct: (left) => 20 + 4 * Math.sin(left / 9), cpu_idle_pct: (left) => 72 - 4 * Math.sin(left / 9), mem_used_pct: 41, disk_usage_pct: 35 };
        await daemon.feed([...labelled({ dc: 'fra1', role: 'web' }, history('web-calm', STEPS, calm)), ...labelled({ dc: 'ams1', role: 'web' }, history('web-other', STEPS, calm)),
            ...labelled({ dc: 'fra1', role: 'data base' }, history('db-filling', STEPS, { ...calm, disk_usage_pct: (left) => 83 - 0.2 * left }))]);
        await daemon.fleet('the first forecast', (fleet) => fleet.servers.length === 3 && fleet.servers[0].server_name === 'db-filling');
        await body(daemon);
    } finally {
        await daemon.close();
    }
}

async function clean(page, seen) {
    equal('console', seen.errors.join(' | '), '');
    equal('requests that left', seen.foreign.join(' '), '');
    equal('dialogs', seen.dialogs, 0);
    equal('policy violations', (await page.evaluate(() => window.__violations)).join(' '), '');
}

check('the worst server is found, and why', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    await page.goto(daemon.url);
    await page.locator('.worst a').click();
    await page.waitForURL('**/servers/db-filling**');
    await until('the sentence', async () => /Disk is at 83 % .*critical 95 %/.test((await page.locator('.sentence').textContent()).replace(/\u00a0/g, ' ')));
    truth('the fan is drawn', await page.locator('.fan-chart canvas').count() === 1);
    truth('the score is taken apart', /Disk/.test(await page.locator('.drivers').textContent()));
    truth('the method is named', /Forecast by/.test(await page.locator('.method:not(.versus)').textContent()));
    await page.locator('.fan-chart .u-over').hover({ position: { x: 900, y: 120 } });
    truth('values under the pointer', /expected|measured/.test(await page.locator('.probe').textContent()));
    await page.keyboard.press('ArrowRight');
    await until('the next metric', async () => new URL(page.url()).searchParams.get('metric') !== null);
    await page.reload();
    truth('a deep link', (await page.locator('.server-name').textContent()) === 'db-filling');
    await page.goto(`${daemon.url}dashboard/nothing`);
    await until('an address of nothing', async () => /No such page/.test(await page.locator('h1').textContent()));
    await clean(page, seen);
    await context.close();
}));

check('the list: search, levels, order, keys', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    await page.goto(daemon.url);
    await until('the list', async () => await page.locator('.servers li').count() === 3);
    await page.keyboard.press('/');
    await page.keyboard.type('web ca');
    await until('one is left', async () => await page.locator('.servers li').count() === 1);
    equal('kept in the address', new URL(page.url()).searchParams.get('q'), 'web ca');
    await page.reload();
    await until('as it was sent', async () => await page.locator('.servers li').count() === 1);
    await page.locator('#search').focus();
    await page.keyboard.press('Escape');
    await until('all again', async () => await page.locator('.servers li').count() === 3);
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    equal('the second row', await page.evaluate(() => document.activeElement.dataset.index), '1');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/servers/**');
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.waitForURL('**/dashboard/alerts');
    await page.goBack();
    await page.waitForURL('**/servers/**');
    await page.keyboard.press('?');
    truth('help', await page.locator('dialog.help').isVisible());
    await page.keyboard.press('Escape');
    await clean(page, seen);
    await context.close();
}));

const ALL = 'db-filling web-calm web-other';
const SEARCHES = [
    ['dc=fra1', 'db-filling web-calm'], ['dc!=fra1', 'web-other'], ['dc=~fra.*', 'db-filling web-calm'], ['dc=~fra', ''], ['dc!~fra.|x', 'web-other'],
    ['role="data base"', 'db-filling'], ['role="data', ''], ['dc=fra1 web', 'web-calm'], ['FRA1 calm', 'web-calm'], ['dc=FRA1', ''], ['dc=', ALL], ['dc=""', ''], ['dc!=""', ALL],
    ['server=~web-.*', 'web-calm web-other'], ['profile=generic', ALL], ['dc=fra1 dc=ams1', ''],
    ['dc=~fra(', ALL, /no pattern yet/], ['dc=~(f+r*)+', ALL, /repeated group/], ['dc=~f*r*a*1*x*', ALL, /repeats too much/], ['rack=r1', '', /No server has the label rack/],
];

check('labels: searched, mapped, linked', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    const names = async () => (await page.locator('.servers .name').allTextContents()).sort().join(' ');
    await page.goto(daemon.url);
    await until('the list', async () => await page.locator('.servers li').count() === 3);
    for (const [text, expected, problem = /^\d/] of SEARCHES) {
        await page.locator('#search').fill(text);
        equal(text, await names(), expected);
        truth(`${text}: what is said of it`, problem.test(await page.locator('.found').textContent()));
    }
    await page.locator('#search').fill('dc=f');
    equal('offered', (await page.locator('datalist option').evaluateAll((all) => all.map((option) => option.value))).join(' '), 'dc=fra1');
    await page.keyboard.press('ArrowDown');
    equal('the arrow chooses among what is offered', await page.evaluate(() => document.activeElement.id), 'search');
    await page.locator('#search').fill('dc=fra1');
    await page.keyboard.press('ArrowDown');
    equal('and leads to the list once there is nothing', await page.evaluate(() => document.activeElement.dataset.index), '0');
    await page.locator('#search').fill('');
    await page.getByLabel('Group the heat map').selectOption('dc');
    equal('groups', (await page.locator('.group-name').allTextContents()).join(' '), 'ams1 fra1');
    await page.getByRole('button', { name: 'fra1' }).click();
    equal('narrowed by a group', await names(), 'db-filling web-calm');
    const address = new URL(page.url()).searchParams;
    equal('kept in the address', `${address.get('q')} ${address.get('map')}`, 'dc=fra1 dc');
    await page.reload();
    await until('as it was sent', async () => await names() === 'db-filling web-calm');
    equal('one group is left', await page.locator('.group-name').count(), 1);
    await page.goto(`${daemon.url}servers/db-filling`);
    await page.locator('.labels a').filter({ hasText: 'role' }).click();
    await until('who else has it', async () => await names() === 'db-filling');
    equal('as a term', new URL(page.url()).searchParams.get('q'), 'role="data base"');
    await clean(page, seen);
    await context.close();
}));

check('a value changes live', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    await page.goto(`${daemon.url}servers/web-calm?metric=mem_used_pct`);
    const value = page.locator('[data-metric="mem_used_pct"] .tile-value');
    await until('the value', async () => /^41/.test(await value.textContent().catch(() => '')));
    const offered = (await (await daemon.get('openapi.json')).json()).paths['/api/v1/events'] !== undefined;
    await until('how it is kept fresh', async () => (await page.locator('.link').textContent()).startsWith(offered ? 'live' : 'polling'));
    const now = Math.floor(Date.now() / 1000);
    await daemon.feed([{ server_name: 'web-calm', timestamp: now, mem_used_pct: 63 }]);
    await until('the new value', async () => !/^41/.test(await value.textContent()), 40);
    await clean(page, seen);
    await context.close();
}));

check('alerts: seen; acknowledged and silenced where the daemon offers it', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    // An alert fires when a second step of data says the same.
    const next = (Math.floor(Date.now() / 1000 / 300) + 1) * 300;
    await daemon.feed([{ server_name: 'db-filling', timestamp: next, disk_usage_pct: 83.2, cpu_user_pct: 21, cpu_idle_pct: 72, mem_used_pct: 41 }]);
    const alerts = async () => (await (await daemon.get('api/v1/alerts?state=all')).json()).alerts;
    await until('it fires', async () => (await alerts()).some((alert) => alert.state === 'firing' && alert.metric === 'disk_usage_pct'));
    await page.goto(`${daemon.url}dashboard/alerts`);
    const item = page.locator('.alerts li').filter({ hasText: 'Disk' });
    await until('the alert', async () => await item.count() === 1);
    truth('what and when', /db-filling.*Disk will pass (85|95) % around/.test((await item.textContent()).replace(/\u00a0/g, ' ')));
    truth('the headline counts it', /alerts? firing/.test(await page.locator('h1').textContent()));
    const offered = (await (await daemon.get('openapi.json')).json()).paths;
    const button = (name) => page.getByRole('button', { name });
    if (offered['/api/v1/alerts/{id}/ack']?.post) {
        await button(/^Acknowledge db-filling, Disk/).click();
        await page.getByLabel('Your name').fill('Kim');
        await page.getByLabel('Comment').fill('<b>on it</b>');
        await page.locator('dialog').getByRole('button', { name: 'Acknowledge' }).click();
        await until('acknowledged', async () => /Acknowledged by Kim/.test(await item.textContent()));
        equal('the daemon has it', (await alerts()).find((alert) => alert.metric === 'disk_usage_pct').ack.comment, '<b>on it</b>');
        await button(/^Take back the acknowledgement of db-filling, Disk/).click();
        await page.locator('dialog').getByRole('button', { name: 'Take back' }).click();
        await until('taken back', async () => await button(/^Acknowledge db-filling, Disk/).count() === 1);
    } else {
        equal('no button without a route', await button(/^Acknowledge/).count(), 0);
    }
    if (offered['/api/v1/silences']?.post) {
        await button(/^Silence db-filling, Disk/).click();
        await page.getByLabel('For', { exact: true }).selectOption('30m');
        await page.getByLabel('Why').fill('moving data');
        await page.locator('dialog').getByRole('button', { name: 'Silence' }).click();
        await until('silenced', async () => /Silenced/.test(await item.textContent()));
        await until('listed', async () => /Disk, db-filling.*Kim: moving data/.test((await page.locator('.silences').textContent()).replace(/\u00a0/g, ' ')));
        await button(/^End the silence of Disk/).click();
        await until('heard again', async () => await button(/^Silence db-filling, Disk/).count() === 1);
        await button(/^Silence db-filling, Disk/).click();
        equal('nothing of a week yet', await page.getByLabel('By the clock of').isVisible(), false);
        await page.getByLabel('For', { exact: true }).selectOption('weekly');
        equal("the browser's zone", await page.getByLabel('By the clock of').inputValue(), 'UTC');
        const dialog = page.locator('dialog');
        for (const day of ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']) await dialog.getByLabel(day).check();
        await page.getByLabel('From').fill('00:00');
        await page.getByLabel('Lasts').selectOption('24h');
        await page.getByLabel('By the clock of').fill('Europe/Berlim');
        await dialog.getByRole('button', { name: 'Silence' }).click();
        await until('refused', async () => /no time zone Europe\/Berlim/.test(await dialog.textContent()));
        await until('the browser tells of the refusal, twice', () => seen.errors.length === 2);
        equal('and of nothing else', seen.errors.splice(0).filter((line) => !/422 /.test(line)).join(' '), '');
        await page.getByLabel('By the clock of').fill('Asia/Kolkata');
        await dialog.getByRole('button', { name: 'Silence' }).click();
        await until('silenced every week', async () => /Silenced/.test(await item.textContent()));
        await until('with its zone', async () => /mon, tue, .* from 00:00 for 24h \(Asia\/Kolkata\)/.test(await page.locator('.silences').textContent()));
        await button(/^End the silence of Disk/).click();
        await until('heard again', async () => await button(/^Silence db-filling, Disk/).count() === 1);
        await button(/^Silence db-filling, Disk/).click();
        await page.getByLabel('What').selectOption('label');
        await page.locator('dialog').getByRole('button', { name: 'Silence' }).click();
        truth('not without a label', await page.locator('dialog').isVisible());
        await page.getByLabel('dc = fra1').check();
        truth('how many', /2 servers of 3/.test(await page.locator('dialog fieldset:visible').textContent()));
        await page.locator('dialog').getByRole('button', { name: 'Silence' }).click();
        await until('silenced by a label', async () => /Silenced/.test(await item.textContent()));
        const { silences } = await (await daemon.get('api/v1/silences')).json();
        equal('the daemon has it', JSON.stringify([silences[0].labels, silences[0].server, silences[0].metric]), '[{"dc":"fra1"},null,null]');
        await button(/^End the silence of dc=fra1/).click();
        await until('heard once more', async () => await button(/^Silence db-filling, Disk/).count() === 1);
    } else {
        equal('nor for silences', await button(/^Silence/).count(), 0);
    }
    await clean(page, seen);
    await context.close();
}));

check('who is silent is said, where nothing is worse', async (browser, program) => {
    const daemon = new Daemon(program);
    try {
        await daemon.start();
        const gone = history('web-gone', 30, { mem_used_pct: 40 }).map((record) => ({ ...record, timestamp: record.timestamp - 3600 }));
        await daemon.feed([...history('web-calm', 30, { mem_used_pct: 41 }), ...gone]);
        await daemon.fleet('both', (fleet) => fleet.servers.length === 2);
        const { page, seen, context } = await watched(browser, daemon.url);
        await page.goto(daemon.url);
        await until('the headline', async () => await page.locator('h1').textContent() === '1 server is silent, else nothing needs you');
        equal('counted', await page.locator('.chip.silent b').textContent(), '1');
        await page.locator('.chip.silent').click();
        truth('since when', /^No data for (1\sh|6\d\smin)$/u.test(await page.locator('.servers .why').textContent()));
        await clean(page, seen);
        await context.close();
    } finally {
        await daemon.close();
    }
});

check('the daemon is lost and comes back', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    await page.goto(daemon.url);
    await until('the list', async () => await page.locator('.servers li').count() === 3);
    seen.offline = true; // a browser reports each connection that is refused
    await daemon.stop('SIGKILL');
    await until('said so', async () => /Disconnected/.test(await page.locator('.notice').first().textContent()));
    equal('what was known stays', await page.locator('.servers li').count(), 3);
    await daemon.start();
    await until('back by itself', async () => await page.locator('.link.live').count() === 1 && await page.locator('.notice').first().isHidden());
    seen.offline = false;
    await clean(page, seen);
    await context.close();
}));

check('no data yet, then some', async (browser, program) => {
    const daemon = new Daemon(program);
    try {
        await daemon.start();
        const { page, seen, context } = await watched(browser, daemon.url);
        seen.offline = true; // 503 is what "no forecast yet" is called
        await page.goto(daemon.url);
        await until('the empty state', async () => /No server has reported yet/.test(await page.locator('main').textContent()));
        await daemon.feed(history('first', 3, { cpu_user_pct: 10 }));
        await until('the fleet', async () => await page.locator('.servers li').count() === 1);
        truth('warming up is said', /Warming up/.test(await page.locator('.notice').first().textContent()));
        seen.offline = false;
        await clean(page, seen);
        await context.close();
    } finally {
        await daemon.close();
    }
});

check('the key is asked for once', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url);
    seen.offline = true; // 401 is reported as well
    await page.goto(`${daemon.url}servers/db-filling`);
    await page.locator('#key').fill('wrong');
    await page.keyboard.press('Enter');
    await until('refused', async () => /refused this key/.test(await page.locator('main').textContent()));
    await page.locator('#key').fill(daemon.key);
    await page.keyboard.press('Enter');
    await until('the page that was asked for', async () => (await page.locator('.server-name').textContent().catch(() => '')) === 'db-filling');
    seen.offline = false;
    await page.reload();
    await until('not asked again', async () => (await page.locator('.server-name').textContent().catch(() => '')) === 'db-filling');
    equal('not in the page', (await page.content()).includes(daemon.key), false);
    equal('not kept beyond the tab', await page.evaluate((key) => JSON.stringify({ ...localStorage }).includes(key) || document.cookie.includes(key), daemon.key), false);
    await clean(page, seen);
    await context.close();
}, { key: 'correct-horse-battery-staple-1' }));

const HOSTILE = [
    '<script>window.__pwned=1</script>', '<img src=x onerror=window.__pwned=1>', '"><svg onload=window.__pwned=1>', "'><b>bold</b>", '</a></li></ol><h1>forged</h1>',
    'javascript:window.__pwned=1', '{{constructor.constructor("window.__pwned=1")()}}', '${window.__pwned=1}', '`${window.__pwned=1}`', '<!-- comment', ']]>', '&lt;script&gt;',
    '%3Cscript%3Ealert(1)%3C/script%3E', '../../etc/passwd', 'a/b', 'a\\b', 'a?metric=x', 'a#b', 'a&b=c', 'a%2Fb', 'a%00b', '; DROP TABLE servers; --', '{"server_name":"x"}',
    '<style>*{display:none}</style>', '<iframe srcdoc="<script>parent.__pwned=1</script>">', '<base href="https://evil.example/">', '__proto__', 'constructor', 'ロボット-サーバー', 'a'.repeat(128),
];

check('30 hostile names and labels are only text', async (browser, program) => {
    const daemon = new Daemon(program);
    try {
        await daemon.start();
        equal('so many', HOSTILE.length, 30);
        const fed = await daemon.feed(HOSTILE.flatMap((name, i) => labelled({ dc: name.slice(0, 127), role: 'x' }, history(name, 4, { cpu_user_pct: 30 + i, disk_usage_pct: 96 }))));
        equal('accepted', fed.records_accepted, 120);
        await daemon.fleet('all of them', (fleet) => fleet.servers.length === 30);
        const { page, seen, context } = await watched(browser, daemon.url, { viewport: { width: 1440, height: 2400 } });
        await page.goto(`${daemon.url}?sort=name`);
        await until('the list', async () => await page.locator('.servers li').count() === 30);
        const names = await page.locator('.servers .name').allTextContents();
        for (const name of HOSTILE) truth(`${name} is shown as it is`, names.includes(name));
        const searches = [];
        const links = await page.locator('.servers li a').evaluateAll((all) => all.map((a) => [a.querySelector('.name').textContent, a.getAttribute('href')]));
        for (const [name, href] of links) {
            await page.goto(new URL(href, daemon.url).href);
            await until(`the page of ${name}`, async () => (await page.locator('.server-name').textContent().catch(() => '')) === name && await page.locator('.tile').count() > 0);
            equal('its label', await page.locator('.labels li').first().textContent(), `dc ${name.slice(0, 127)}`);
            const found = new URL(await page.locator('.labels a').first().getAttribute('href'), daemon.url);
            searches.push([name, found.href]);
        }
        for (const [name, href] of searches) {
            await page.goto(href);
            await until(`only ${name} has its label`, async () => (await page.locator('.servers .name').allTextContents()).join() === name);
        }
        await page.goto(`${daemon.url}?map=dc`);
        await until('groups', async () => await page.locator('.group').count() === 24);
        for (const path of ['dashboard/alerts?state=all', 'dashboard/outlook']) {
            await page.goto(daemon.url + path);
            await until(path, async () => (await page.locator('main').textContent()).includes('<script>'));
        }
        equal('nothing ran', await page.evaluate(() => window.__pwned), undefined);
        equal('no element was made', await page.locator('img, iframe, base, main script, main style, main b:text-is("bold")').count(), 0);
        await clean(page, seen);
        await context.close();
    } finally {
        await daemon.close();
    }
});

check('axe finds nothing serious, light and dark', (browser, program) => withFleet(program, async (daemon) => {
    for (const colorScheme of ['light', 'dark']) {
        for (const viewport of [{ width: 1440, height: 900 }, { width: 390, height: 844 }]) {
            const { page, context } = await watched(browser, daemon.url, { colorScheme, viewport });
            for (const path of PAGES) {
                await page.goto(daemon.url + path);
                await until(path, async () => await page.locator('main h1').count() > 0 && await page.locator('main .hush:text-is("Reading the fleet…")').count() === 0);
                await page.waitForTimeout(600);
                await page.evaluate(axeSource);
                const { violations } = await page.evaluate(() => window.axe.run(document));
                const found = violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).slice(0, 3).join('; ')}`);
                equal(`/${path} ${colorScheme} ${viewport.width}`, found.filter((text) => /^(serious|critical)/.test(text)).join('\n'), '');
            }
            await context.close();
        }
    }
}));

check('360 px: nothing hangs over the edge', (browser, program) => withFleet(program, async (daemon) => {
    const { page, seen, context } = await watched(browser, daemon.url, { viewport: { width: 360, height: 740 } });
    for (const path of PAGES) {
        await page.goto(daemon.url + path);
        await until(path, async () => await page.locator('main h1').count() > 0);
        await page.waitForTimeout(500);
        const over = await page.evaluate(() => [...document.querySelectorAll('main *, header *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, .unseen, svg')).map((e) => e.className || e.tagName).slice(0, 5));
        equal(`/${path}`, over.join(', '), '');
        equal(`/${path} scrolls sideways`, await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    }
    await clean(page, seen);
    await context.close();
}));

await run(process.argv[2], process.argv[3]);
