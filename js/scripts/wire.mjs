// Writes src/core/wire.gen.ts from signaling/schema.json; `--verify` fails when the file is not what the schema says.
// Must not know what any message means.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SCHEMA = fileURLToPath(new URL("../../signaling/schema.json", import.meta.url));
const TARGET = fileURLToPath(new URL("../src/core/wire.gen.ts", import.meta.url));

const HEAD = `// Generated from signaling/schema.json by js/scripts/wire.mjs; never edited by hand.
// Must not know anything that the schema does not say.
`;

/** Keywords for people; the validator does not need them. */
const PROSE = new Set(["$schema", "$id", "title", "description"]);
const KNOWN = new Set([
  ...PROSE, "$ref", "$defs", "oneOf", "type", "const", "enum", "items", "maxItems", "minItems", "properties",
  "required", "additionalProperties", "maxProperties", "propertyNames", "minimum", "maximum", "minLength", "maxLength", "pattern",
]);

const refName = (ref) => ref.replace("#/$defs/", "");
const literal = (value) => JSON.stringify(value);

function typeOf(schema, indent) {
  if (schema.$ref !== undefined) return refName(schema.$ref);
  if (schema.const !== undefined) return literal(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(literal).join(" | ");
  if (schema.oneOf !== undefined) return schema.oneOf.map((one) => typeOf(one, indent)).join(" | ");
  if (schema.type === "array") return `readonly (${typeOf(schema.items, indent)})[]`.replace(/\((\w+)\)/, "$1");
  if (schema.type === "object") return objectType(schema, indent);
  if (schema.type === "integer") return "number";
  return schema.type;
}

function objectType(schema, indent) {
  if (schema.properties === undefined) return `{ readonly [key: string]: ${typeOf(schema.additionalProperties, indent)} }`;
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const doc = field.description === undefined ? "" : `${indent}  /** ${field.description} */\n`;
    return `${doc}${indent}  readonly ${name}${required.has(name) ? "" : "?"}: ${typeOf(field, `${indent}  `)};`;
  });
  return `{\n${fields.join("\n")}\n${indent}}`;
}

function declaration(name, schema) {
  const doc = schema.description === undefined ? "" : `/** ${schema.description} */\n`;
  const body = typeOf(schema, "");
  return body.startsWith("{") ? `${doc}export interface ${name} ${body}` : `${doc}export type ${name} = ${body};`;
}

/** The schema without its prose, for `validate.ts`. A keyword that `validate.ts` does not know is an error here, and not a check that is silently left out. */
function bare(schema, isMap = false) {
  if (Array.isArray(schema)) return schema.map((one) => bare(one));
  if (schema === null || typeof schema !== "object") return schema;
  const kept = Object.entries(schema).filter(([key]) => isMap || !PROSE.has(key));
  for (const [key] of kept) if (!isMap && !KNOWN.has(key)) throw new Error(`wire.mjs: no rule for the keyword "${key}"`);
  return Object.fromEntries(kept.map(([key, value]) => [
    key,
    key === "enum" || key === "const" || key === "required" ? value : bare(value, !isMap && (key === "properties" || key === "$defs")),
  ]));
}

export function generate(text) {
  const schema = JSON.parse(text);
  const types = Object.entries(schema.$defs).map(([name, one]) => declaration(name, one));
  const shapes = Object.entries(bare(schema.$defs, true)).map(([name, one]) => `  ${name}: ${JSON.stringify(one)},`);
  return `${HEAD}
import type { Shape } from "./validate";

${types.join("\n\n")}

/** The same, for \`validate\`. */
export const SHAPES: Readonly<Record<string, Shape>> = {
${shapes.join("\n")}
};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = generate(readFileSync(SCHEMA, "utf8"));
  if (!process.argv.includes("--verify")) writeFileSync(TARGET, wanted);
  else if (readFileSync(TARGET, "utf8") !== wanted) {
    console.error("src/core/wire.gen.ts is not what signaling/schema.json says: run `npm run wire`.");
    process.exit(1);
  }
}
