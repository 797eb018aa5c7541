// Mutation testing of js/src/core: changes the source a little, over and over, and says which changes no test notices.
//
//     node js/scripts/mutants.mjs                    every file of core/ that has a test
//     node js/scripts/mutants.mjs race.ts stall.ts   these files
//     node js/scripts/mutants.mjs --list race.ts     the mutants alone
//
// A mutant meets the tests of its own file, then those that prove it elsewhere. The tree on disk is
// never touched. A mutant that must survive is marked by `// mutants: ` and the reason at the end of its line.
// Must not know what any file does.
import { fork } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { createVitest } from "vitest/node";
import { wasmPlugin } from "./wasm.mjs";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const CORE = at("../src/core/");
const TESTS = at("../tests/");
/** A mutant that runs for longer than this loops for ever, which counts as killed. */
const TIMEOUT_MS = 60_000;
/** The part of a file's mutants that must be killed, those with a reason apart. */
const GOAL = 0.9;
/** Tests that prove a part of their file's behaviour elsewhere: the vectors of the contract, and the parts of a session. */
const ALSO = new Map([["wire", ["contract"]], ["validate", ["contract"]]]);
const SESSION = ["session", "session-context", "session-frames", "session-peer", "session-view", "reconciler", "plan", "peer-state", "socket-state", "subscription", "subscriptions"];

const SWAPS = new Map([
  ["<", ["<=", ">="]], ["<=", ["<", ">"]], [">", [">=", "<="]], [">=", [">", "<"]], ["===", ["!=="]], ["!==", ["==="]],
  ["&&", ["||"]], ["||", ["&&"]], ["??", ["&&"]], ["+", ["-"]], ["-", ["+"]], ["*", ["/"]], ["/", ["*"]], ["%", ["*"]],
  ["+=", ["-="]], ["-=", ["+="]], ["??=", ["="]], ["&", ["|"]], ["|", ["&"]], ["<<", [">>"]], [">>", ["<<"]], [">>>", ["<<"]], ["^", ["&"]],
]);
const NAMES = new Map([["min", ["max"]], ["max", ["min"]], ["some", ["every"]], ["every", ["some"]], ["floor", ["ceil"]], ["ceil", ["floor"]]]);

const KEYWORDS = new Map([[ts.SyntaxKind.TrueKeyword, ["false"]], [ts.SyntaxKind.FalseKeyword, ["true"]]]);
const isTypeCheck = (node) => ts.isExpressionStatement(node) && ts.isSatisfiesExpression(node.expression);
const NOT_CODE = [ts.isTypeNode, ts.isInterfaceDeclaration, ts.isTypeAliasDeclaration, ts.isImportDeclaration, isTypeCheck];

/** The changes of one node: a part of it, and what stands there instead. */
function changesOf(node, source) {
  if (ts.isBinaryExpression(node)) return (SWAPS.get(node.operatorToken.getText(source)) ?? []).map((other) => [node.operatorToken, other]);
  if (ts.isNumericLiteral(node)) return [[node, Number(node.text) < 10 ? `(${node.text} + 1)` : `(${node.text} * 1.5)`]];
  if (ts.isPropertyAccessExpression(node)) return (NAMES.get(node.name.text) ?? []).map((other) => [node.name, other]);
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) return [[node, node.operand.getText(source)]];
  if (ts.isExpressionStatement(node)) return [[node, ";"]];
  if (ts.isIfStatement(node)) return [[node.expression, "true"], [node.expression, "false"]];
  return (KEYWORDS.get(node.kind) ?? []).map((other) => [node, other]);
}

/** The mutants of a file: where, what there is, and what stands there instead. */
function mutantsOf(path) {
  const text = readFileSync(path, "utf8");
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const found = [];
  const add = (node, instead) => {
    const start = node.getStart(source);
    const { line } = source.getLineAndCharacterOfPosition(start);
    const whole = text.split("\n")[line] ?? "";
    const reason = /\/\/ mutants: (.*)$/.exec(whole)?.[1];
    found.push({ path, start, end: node.getEnd(), was: text.slice(start, node.getEnd()), instead, line: line + 1, reason });
  };
  const visit = (node) => {
    if (NOT_CODE.some((is) => is(node))) return;
    for (const [part, instead] of changesOf(node, source)) add(part, instead);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Runs in a process of its own, since a mutant may loop for ever: answers whether a mutant is killed. */
async function serve() {
  let current;
  const mutator = {
    name: "framewire-mutant",
    enforce: "pre",
    load: (id) => {
      if (id !== current?.path) return undefined;
      const text = readFileSync(id, "utf8");
      return text.slice(0, current.start) + current.instead + text.slice(current.end);
    },
  };
  const options = { root: at("../"), include: ["tests/**/*.test.ts"], environment: "node", pool: "threads", watch: false, reporters: [{}], config: false, maxWorkers: 1 };
  const vitest = await createVitest("test", options, { plugins: [wasmPlugin(), mutator] });
  const fails = async (names) => {
    // Errors outside of any test are kept from run to run.
    vitest.state.clearErrors();
    const paths = names.map((name) => `${TESTS}${name}.test.ts`);
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(await vitest.globTestSpecifications(paths));
    // The modules of earlier runs are among them.
    return unhandledErrors.length > 0 || testModules.some((one) => paths.includes(one.moduleId) && one.state() === "failed");
  };
  process.on("message", async (mutant) => {
    if (current !== undefined) vitest.invalidateFile(current.path);
    current = mutant;
    vitest.invalidateFile(mutant.path);
    process.send({ killed: (await fails(mutant.own)) || (mutant.others.length > 0 && (await fails(mutant.others))) });
  });
  process.send({ ready: true });
}

let child;

function start() {
  return new Promise((done) => {
    child = fork(fileURLToPath(import.meta.url), ["--serve"], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    child.once("message", () => done());
  });
}

async function isKilled(mutant) {
  if (child === undefined) await start();
  return new Promise((done) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      child = undefined;
      done(true);
    }, TIMEOUT_MS);
    child.once("message", ({ killed }) => {
      clearTimeout(timer);
      done(killed);
    });
    child.send(mutant);
  });
}

/** The survivors of a file, of so many mutants. */
async function test(file) {
  const own = file.replace(".ts", "");
  const others = SESSION.includes(own) ? SESSION.filter((name) => name !== own) : (ALSO.get(own) ?? []);
  const mutants = mutantsOf(CORE + file).filter(({ reason }) => reason === undefined);
  const survivors = [];
  for (const mutant of mutants) if (!(await isKilled({ ...mutant, own: [own], others }))) survivors.push(mutant);
  return { count: mutants.length, survivors };
}

const line = (file, { line: number, was, instead }) => `${file}:${number}: ${was.split("\n")[0]} -> ${instead}`;

async function main(names) {
  const wanted = names.filter((name) => !name.startsWith("--"));
  const tested = readdirSync(CORE).filter((name) => name.endsWith(".ts") && existsSync(TESTS + name.replace(".ts", ".test.ts")));
  const files = wanted.length === 0 ? tested : wanted;
  if (names.includes("--list")) {
    for (const file of files) for (const mutant of mutantsOf(CORE + file)) console.log(line(file, mutant));
    return;
  }
  for (const file of files) {
    const { count, survivors } = await test(file);
    console.log(`${file}: ${count - survivors.length} of ${count} killed`);
    for (const survivor of survivors) console.log(`    ${line(file, survivor)}`);
    if (survivors.length > (1 - GOAL) * count) process.exitCode = 1;
  }
  child?.kill();
}

if (process.argv.includes("--serve")) await serve();
else await main(process.argv.slice(2));
