// SPDX-License-Identifier: AGPL-3.0-or-later
// Real Chromium, driven by playwright-core.  browser.py writes a line for each
// scenario, [NAME, {ARGUMENTS}], and reads one: what the scenario found, in
// `complaints` every error that the page has logged, or in `failed` why it
// did not come to an end.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";

const require = createRequire(`${process.env.ZIPSTREAM_BROWSER}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const LAUNCH = {
	executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
	args: ["--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync"],
};
const PATIENCE_MS = 90000;
const DESK = { width: 1280, height: 900 }, PHONE = { width: 390, height: 844 };

let browser, complaints = [], foreign = [];

async function open(url, options = {}) {
	const context = await browser.newContext({ viewport: DESK,
		acceptDownloads: true, ...options });
	context.setDefaultTimeout(20000);
	const page = await context.newPage();
	page.on("console", (m) => m.type() === "error" &&
		!options.allow?.test(m.text()) && complaints.push(m.text()));
	page.on("pageerror", (e) => complaints.push(String(e)));
	page.on("request", (r) => /^(data|blob):/.test(r.url()) ||
		new URL(r.url()).origin === new URL(url).origin ||
		foreign.push(r.url()));
	const answer = await page.goto(url);
	return { context, page, answer };
}

async function paste(page, text) {
	await page.getByLabel("Links, one a line", { exact: true }).fill(text);
}

const settled = (page) => page.waitForFunction(() =>
	document.querySelector("#list li") &&
	!document.querySelector("#list li.wait"));

const rows = (page) => page.$$eval("#list li", (all) => all.map((row) => [
	row.className, row.querySelector(".path").textContent,
	row.querySelector(".from").textContent,
	row.querySelector(".size").textContent]));

async function create(page, links) {
	await paste(page, links);
	await settled(page);
	await page.getByRole("button", { name: "Create a link" }).click();
	await page.getByRole("heading", { name: "Your link is ready" }).waitFor();
	return { share: await page.getByLabel("Link to share").first().inputValue(),
		private: await page.getByLabel("Private link").inputValue(),
		until: await page.textContent("#done-until") };
}

const scenarios = {
	async check({ url, links }) {
		const { page, answer } = await open(url);
		await paste(page, links);
		await settled(page);
		return { rows: await rows(page), title: await page.title(),
			total: await page.textContent("#total"),
			count: await page.textContent("#count"),
			zipped: await page.$eval("#seam",
				(e) => getComputedStyle(e).getPropertyValue("--done")),
			detail: await page.textContent("#detail"),
			spoken: await page.textContent("#spoken"),
			policy: answer.headers()["content-security-policy"] };
	},

	async download({ url, links, name, to }) {
		const { page } = await open(url);
		await paste(page, links);
		await settled(page);
		await page.getByLabel("Name of the zip").fill(name);
		const coming = page.waitForEvent("download");
		await page.getByRole("button", { name: "Download now" }).click();
		const download = await coming;
		await download.saveAs(to);
		return { name: download.suggestedFilename(),
			message: await page.textContent("#message") };
	},

	/* What the service refuses is told on the page. */
	async refused({ url, links }) {
		const { page } = await open(url, { allow: /502/ });
		await paste(page, links);
		await settled(page);
		await page.getByRole("button", { name: "Download now" }).click();
		await page.waitForFunction(() =>
			document.getElementById("message").classList.contains("bad"));
		const message = await page.textContent("#message");
		await page.getByRole("button", { name: "Remove what" }).click();
		return { message, rows: await rows(page), at: page.url() };
	},

	/* What a user sees of a page at /zip, of a busy service, of many files. */
	async slips({ url, document, links }) {
		const { page } = await open(url, { allow: /503/ });
		let refused = 0;
		await page.route("**/check", (r) => refused++ ? r.continue()
			: r.fulfill({ status: 503, body: "{}" }));
		await paste(page, links[0]);
		await page.waitForSelector("#list li.unknown");
		await paste(page, "");
		await page.waitForFunction(() => !document.querySelector("#list li"));
		await paste(page, links[0]);
		await page.waitForSelector("#list li.ok");
		const api = await page.getByRole("link", { name: "API" })
			.evaluate((a) => a.href);
		await paste(page, document);
		await settled(page);
		const asked = page.waitForRequest((r) => r.method() === "POST" &&
			!r.url().endsWith("/check"));
		await page.getByRole("button", { name: "Create a link" }).click();
		const sent = JSON.parse((await asked).postData());
		await page.goto(url);
		const made = await create(page, links.join("\n"));
		const other = await open(made.private);
		await other.page.waitForSelector("#contents li.ok:last-child");
		return { api, sent, facts: await other.page.textContent("#facts") };
	},

	/* Links come with the clipboard and by drag, without a field's focus. */
	async drop({ url, first, second }) {
		const { page } = await open(url);
		await page.evaluate((text) => {
			const data = new DataTransfer();
			data.setData("text/plain", text);
			document.body.dispatchEvent(new ClipboardEvent("paste",
				{ clipboardData: data, bubbles: true, cancelable: true }));
		}, first);
		await page.waitForFunction(() =>
			document.querySelectorAll("#list li").length === 1);
		await page.evaluate((text) => {
			const data = new DataTransfer();
			data.items.add(new File([text], "links.txt"));
			document.querySelector("h1").dispatchEvent(new DragEvent("drop",
				{ dataTransfer: data, bubbles: true, cancelable: true }));
		}, second);
		await page.waitForFunction(() =>
			document.querySelectorAll("#list li").length === 2);
		await settled(page);
		return { rows: await rows(page) };
	},

	/* Files of links: picked one after the other, then dropped at once. */
	async files({ url, picked, dropped }) {
		const { page } = await open(url);
		const found = [];
		for (const [name, text] of picked) {
			await page.fill("#links", "");
			await page.waitForFunction(() =>
				!document.querySelector("#list li"));
			await page.setInputFiles("#file", { name,
				mimeType: "text/plain", buffer: Buffer.from(text) });
			await settled(page);
			found.push([await page.inputValue("#links"),
				(await rows(page)).map((row) => row.slice(0, 2)),
				await page.textContent("#message")]);
		}
		await page.evaluate((files) => {
			const data = new DataTransfer();
			for (const [name, text] of files)
				data.items.add(new File([text], name));
			document.body.dispatchEvent(new DragEvent("drop",
				{ dataTransfer: data, bubbles: true, cancelable: true }));
		}, dropped);
		await page.waitForSelector("#message.bad");
		return { found, links: await page.inputValue("#links"),
			message: await page.textContent("#message") };
	},

	/* The key travels in a header, the zip comes by a link. */
	async key({ url, links, key, to }) {
		const { page } = await open(url, { allow: /401/ });
		await paste(page, links);
		await page.getByLabel("API key").fill(key);
		await page.keyboard.press("Tab");
		await page.waitForSelector("#list li.ok");
		await settled(page);
		const coming = page.waitForEvent("download");
		await page.getByRole("button", { name: "Download now" }).click();
		await (await coming).saveAs(to);
		return { rows: await rows(page) };
	},

	/* A link from its making to its end. */
	async manage({ url, links, more }) {
		const { page, context } = await open(url, { allow: /404/ });
		const made = await create(page, links);
		await page.getByRole("button", { name: "Manage it" }).click();
		await page.waitForSelector("#contents li");
		await page.getByText("Nobody has downloaded it yet.").waitFor();
		const before = await page.$$eval("#contents .path",
			(all) => all.map((x) => x.textContent));
		await page.getByLabel("Add files").fill(more);
		await page.getByRole("button", { name: "Add", exact: true }).click();
		await page.getByText("1 file added.").waitFor();
		const after = await page.$$eval("#contents .path",
			(all) => all.map((x) => x.textContent));
		await context.request.get(made.share);
		await page.waitForSelector("#history li");
		const history = await page.textContent("#history li");
		await page.getByRole("button", { name: "Delete the bundle" }).click();
		const focused = await page.evaluate(() => document.activeElement.id);
		await page.getByRole("button", { name: "Yes, delete it" }).click();
		await page.getByText("The bundle is deleted.").waitFor();
		await page.goto(made.private);
		await page.getByText("It does not exist").waitFor();
		return { ...made, before, after, history, focused };
	},

	/* All of it without a mouse. */
	async keyboard({ url, links, to }) {
		const { page } = await open(url);
		const walk = [];
		const tab = async (id) => {
			for (let i = 0; i < 20; i++) {
				await page.keyboard.press("Tab");
				const at = await page.evaluate(() => {
					const e = document.activeElement;
					return { id: e.id || e.className, ring:
						getComputedStyle(e).outlineStyle !== "none" };
				});
				walk.push(at);
				if (at.id === id)
					return;
			}
			throw new Error(`${id} is not reached: ${JSON.stringify(walk)}`);
		};
		await tab("links");
		await page.keyboard.insertText(links);
		await settled(page);
		await tab("remove");
		await page.keyboard.press("Enter");
		const left = await rows(page);
		const kept = await page.evaluate(() =>
			document.activeElement.className);
		await tab("name");
		await page.keyboard.press("Control+A");
		await page.keyboard.type("typed");
		await tab("download");
		const coming = page.waitForEvent("download");
		await page.keyboard.press("Enter");
		const download = await coming;
		await download.saveAs(to);
		await tab("create");
		await page.keyboard.press("Space");
		await page.getByRole("heading", { name: "Your link is ready" })
			.waitFor();
		const focused = await page.evaluate(() => document.activeElement.id);
		return { walk, left, kept, focused,
			name: download.suggestedFilename() };
	},

	/* Pictures of every view; axe-core on half of them, which takes long. */
	async look({ url, links, landing, folder }) {
		const found = [], wide = [];
		for (const [scheme, size, viewport] of [["light", "desk", DESK],
			["dark", "desk", DESK], ["light", "phone", PHONE],
			["dark", "phone", PHONE]]) {
			const { page, context } = await open(url, { viewport,
				colorScheme: scheme, reducedMotion: "reduce",
				allow: /404|502/ });
			const shoot = async (name) => {
				await page.screenshot({ fullPage: true,
					path: `${folder}/${name}-${scheme}-${size}.png` });
				if (await page.evaluate(() => document.documentElement
					.scrollWidth > innerWidth))
					wide.push([name, size]);
				if ((scheme === "dark") !== (size === "phone"))
					return;
				await page.evaluate(axe);
				const said = await page.evaluate(() => window.axe.run());
				for (const v of said.violations)
					found.push([name, scheme, size, v.id,
						v.nodes.map((n) => n.html).slice(0, 3)]);
			};
			await shoot("empty");
			await paste(page, links);
			await settled(page);
			await page.locator("#links").blur();
			await shoot("filled");
			await page.getByRole("button", { name: "Download now" }).click();
			await page.waitForSelector("#message.bad");
			await shoot("refused");
			await paste(page, links.split("\n").slice(0, 3).join("\n"));
			await page.waitForFunction(() =>
				document.querySelectorAll("#list li").length === 3);
			const made = await create(page,
				links.split("\n").slice(0, 3).join("\n"));
			await context.request.get(made.share);
			await shoot("link");
			await page.getByRole("button", { name: "Manage it" }).click();
			await page.waitForSelector("#history li");
			await page.waitForFunction(() =>
				!document.querySelector("#contents li.wait"));
			await shoot("manage");
			await page.getByRole("button", { name: "Delete the" }).click();
			await shoot("delete");
			await page.goto(`${url}#${"0".repeat(8)}${"-0000".repeat(3)}-${
				"0".repeat(12)}/${"0".repeat(8)}${"-0000".repeat(3)}-${
				"0".repeat(12)}`);
			await page.getByText("It does not exist").waitFor();
			await shoot("nowhere");
			await page.goto(landing);
			await shoot("landing");
			await context.close();
		}
		return { found, wide };
	},

	/*
	 * A download that is paused, loses its connection and is resumed, by
	 * the buttons of chrome://downloads.  All of it goes through a tunnel of
	 * ours, which notes the heads of the requests.
	 */
	async resume({ port, path, to }) {
		const heads = [], ends = new Set();
		const tunnel = net.createServer((near) => {
			const far = net.connect(port, "127.0.0.1");
			for (const end of [near, far]) {
				ends.add(end);
				end.on("error", () => {});
				end.on("close", () => [near, far].map((e) => e.destroy()));
			}
			near.on("data", (d) => heads.push(d.toString("latin1")));
			near.pipe(far).pipe(near);
		}).listen(0, "127.0.0.1");
		const profile = mkdtempSync(`${tmpdir()}/zipstream-chromium-`);
		const context = await chromium.launchPersistentContext(profile, LAUNCH);
		try {
			const [page] = context.pages(), list = await context.newPage();
			await list.goto("chrome://downloads");
			const button = list.locator("#pause-or-resume").first();
			const press = async (name) => {
				await list.waitForFunction(([e, text]) =>
					e.textContent.trim() === text,
				[await button.elementHandle(), name]);
				await button.evaluate((e) => e.click());
			};
			const coming = page.waitForEvent("download");
			page.goto(`http://127.0.0.1:${tunnel.address().port}${path}`)
				.catch(() => {});  // no page comes of it
			const download = await coming;
			await new Promise((done) => setTimeout(done, 1000));
			await press("Pause");
			await new Promise((done) => setTimeout(done, 300));
			for (const end of ends)
				end.destroy();
			await press("Resume");
			await download.saveAs(to);
		} finally {
			await context.close();
			tunnel.close();
			rmSync(profile, { recursive: true, force: true });
		}
		return { heads: heads.filter((h) => h.startsWith("GET ")) };
	},

	/* A form of another site. */
	async form({ url, to }) {
		const { page } = await open(url);
		const coming = page.waitForEvent("download");
		await page.getByRole("button").click();
		const download = await coming;
		await download.saveAs(to);
		foreign = [];  // it is meant to leave its site
		return { name: download.suggestedFilename() };
	},

	async landing({ url, to }) {
		const { page } = await open(url);
		const text = await page.innerText("main");
		const rows = await page.$$eval("li", (all) => all.map((row) =>
			[...row.children].map((cell) => cell.textContent)));
		const coming = page.waitForEvent("download");
		await page.getByRole("link", { name: "Download" }).click();
		await (await coming).saveAs(to);
		return { text, rows, title: await page.title() };
	},
};

async function play([name, given]) {
	complaints = [];
	foreign = [];
	browser ||= await chromium.launch(LAUNCH);
	const late = new Promise((_, no) => setTimeout(no, PATIENCE_MS,
		new Error("the scenario takes too long")).unref());
	try {
		const found = await Promise.race([scenarios[name](given), late]);
		return { complaints, foreign, ...found };
	} catch (problem) {
		return { failed: problem.stack };
	} finally {
		for (const context of browser.contexts())
			await context.close();
	}
}

for await (const line of createInterface({ input: process.stdin }))
	console.log(JSON.stringify(await play(JSON.parse(line))));
await browser?.close();
