// Writes the table of routes from the files below src/pages: an install script, as many packages have one.
import { readdirSync, writeFileSync } from "node:fs";

const names = readdirSync(new URL("../src/pages/", import.meta.url)).sort();
const lines = names.map((name) => `  "/${name.replace(/\.js$/, "")}": () => import("./pages/${name}"),`);
writeFileSync(new URL("../src/routes.js", import.meta.url), `export const routes = {\n${lines.join("\n")}\n};\n`);
