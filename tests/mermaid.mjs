// Reads every Mermaid diagram of pages: mermaid.mjs MODULES PAGE... One line a diagram, its kind or its fault.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, ...pages] = process.argv.slice(2);
const { JSDOM } = createRequire(`${modules}/`)("jsdom");
globalThis.window = new JSDOM("").window;
globalThis.document = globalThis.window.document;
const { default: mermaid } = await import(
  pathToFileURL(`${modules}/mermaid/dist/mermaid.core.mjs`)
);
for (const page of pages) {
  for (const [, text] of readFileSync(page, "utf8").matchAll(/```mermaid\n([^]*?)```/g)) {
    try {
      const { diagramType } = await mermaid.parse(text);
      console.log(`ok ${page}: ${diagramType}`);
    } catch (error) {
      console.log(`wrong ${page}: ${String(error.message).split("\n")[0]}`);
    }
  }
}
