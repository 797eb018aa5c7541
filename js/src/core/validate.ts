// Checks a JSON value against a shape of the contract's schema.
// Must not know any message by name: shapes are data, generated into wire.gen.ts.

/** The keywords of JSON Schema that the contract uses; js/scripts/wire.mjs refuses any other. */
export interface Shape {
  readonly $ref?: string;
  readonly oneOf?: readonly Shape[];
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly items?: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Shape;
  readonly maxProperties?: number;
  /** Of a name, which is a string, whatever the shape says. */
  readonly propertyNames?: Shape;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}

export type Shapes = Readonly<Record<string, Shape>>;
type Fields = Readonly<Record<string, unknown>>;

const REF = "#/$defs/";

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is wrong with `value`, with the path to it; undefined when nothing is. */
export function fault(shapes: Shapes, name: string, value: unknown): string | undefined {
  const shape = shapes[name];
  return shape === undefined ? `no shape ${name}` : check(shapes, shape, value, name);
}

function check(shapes: Shapes, shape: Shape, value: unknown, at: string): string | undefined {
  if (shape.$ref !== undefined) return checkNamed(shapes, shape.$ref.slice(REF.length), value, at);
  if (shape.oneOf !== undefined) return checkUnion(shapes, shape.oneOf, value, at);
  if (shape.const !== undefined) return value === shape.const ? undefined : `${at} is not ${String(shape.const)}`;
  if (shape.enum !== undefined) return shape.enum.includes(value) ? undefined : `${at} is none of ${shape.enum.join(", ")}`;
  switch (shape.type) {
    case "object":
      return checkObject(shapes, shape, value, at);
    case "array":
      return checkArray(shapes, shape, value, at);
    case "string":
      return checkString(shape, value, at);
    case "boolean":
      return typeof value === "boolean" ? undefined : `${at} is not a boolean`;
    default:
      return checkNumber(shape, value, at);
  }
}

function checkNamed(shapes: Shapes, name: string, value: unknown, at: string): string | undefined {
  const shape = shapes[name];
  return shape === undefined ? `no shape ${name}` : check(shapes, shape, value, at);
}

/** In every union of the contract, `type` says which member it is. That member alone is checked, so that errors name the field. */
function checkUnion(shapes: Shapes, members: readonly Shape[], value: unknown, at: string): string | undefined {
  const tag = isFields(value) ? value.type : undefined;
  for (const member of members) {
    const name = member.$ref?.slice(REF.length) ?? "";
    if (shapes[name]?.properties?.type?.const === tag && tag !== undefined) return checkNamed(shapes, name, value, at);
  }
  return `${at}: unknown type ${JSON.stringify(tag)}`;
}

function checkObject(shapes: Shapes, shape: Shape, value: unknown, at: string): string | undefined {
  if (!isFields(value)) return `${at} is not an object`;
  for (const name of shape.required ?? []) if (!Object.hasOwn(value, name)) return `${at}.${name} is missing`;
  const fields = Object.entries(value);
  if (fields.length > (shape.maxProperties ?? Infinity)) return `${at} has ${fields.length} fields`;
  for (const [name, field] of fields) {
    const found = checkField(shapes, shape, name, field, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function checkField(shapes: Shapes, shape: Shape, name: string, field: unknown, at: string): string | undefined {
  const inner = fieldShape(shape, name);
  if (inner === undefined) return `${at}.${name} is unknown`;
  const long = shape.propertyNames && checkString(shape.propertyNames, name, `a name in ${at}`);
  return long ?? check(shapes, inner, field, `${at}.${name}`);
}

function fieldShape(shape: Shape, name: string): Shape | undefined {
  if (shape.properties !== undefined && Object.hasOwn(shape.properties, name)) return shape.properties[name];
  return typeof shape.additionalProperties === "object" ? shape.additionalProperties : undefined;
}

function checkArray(shapes: Shapes, shape: Shape, value: unknown, at: string): string | undefined {
  if (!Array.isArray(value)) return `${at} is not an array`;
  if (value.length < (shape.minItems ?? 0) || value.length > (shape.maxItems ?? Infinity)) return `${at} has ${value.length} items`;
  const items = shape.items;
  if (items === undefined) return undefined;
  for (let i = 0; i < value.length; i++) {
    const found = check(shapes, items, value[i], `${at}[${i}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function checkString(shape: Shape, value: unknown, at: string): string | undefined {
  if (typeof value !== "string") return `${at} is not a string`;
  if (shape.pattern !== undefined && !new RegExp(shape.pattern, "u").test(value)) return `${at} does not match ${shape.pattern}`;
  if (shape.minLength === undefined && value.length <= (shape.maxLength ?? Infinity)) return undefined;
  // JSON Schema counts code points (RFC 8259 characters), `length` counts UTF-16 units.
  const length = [...value].length;
  return length < (shape.minLength ?? 0) || length > (shape.maxLength ?? Infinity) ? `${at} has ${length} characters` : undefined;
}

function checkNumber(shape: Shape, value: unknown, at: string): string | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return `${at} is not a number`;
  if (shape.type === "integer" && !Number.isInteger(value)) return `${at} is not an integer`;
  if (value < (shape.minimum ?? -Infinity) || value > (shape.maximum ?? Infinity)) return `${at} is out of range`;
  return undefined;
}
