#!/usr/bin/env node
// SPDX-License-Identifier: AGPL-3.0-or-later
// zipstream.mjs SERVICE OUT.zip LINK...: makes a link for a zip of the links,
// prints it, and downloads it.  Node 18 or newer, no packages.
// ZIPSTREAM_KEY is the API key, if any.
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

async function checked(answer) {
	if (answer.ok)
		return answer;
	const { message, files = [] } = await answer.json();
	throw new Error([message,
		...files.map((f) => `${f.src}: ${f.reason}`)].join("\n"));
}

const headers = { "Content-Type": "application/json" };
if (process.env.ZIPSTREAM_KEY)
	headers.Authorization = `Bearer ${process.env.ZIPSTREAM_KEY}`;

const [service, out, ...links] = process.argv.slice(2);
const base = service.replace(/\/$/, "");

try {
	const made = await checked(await fetch(`${base}/`, { method: "POST", headers,
		body: JSON.stringify({ filename: basename(out),
			files: links.map((src) => ({ src })) }) }));
	const { id, secret } = await made.json();
	console.log(`share: ${base}/${id}\nmanage: ${base}/${id}/${secret}`);

	// A body that breaks off rejects: what is there is whole.
	const zip = await checked(await fetch(`${base}/${id}`));
	await pipeline(Readable.fromWeb(zip.body), createWriteStream(out));
} catch (problem) {
	await rm(out, { force: true });
	console.error(problem.message);
	process.exitCode = 1;
}
