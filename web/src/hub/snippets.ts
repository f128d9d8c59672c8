// Code to call an endpoint, made from what /info says. Pure.

export interface Parameter {
    label: string;
    parameter_name: string;
    parameter_has_default?: boolean;
    parameter_default?: unknown;
    python_type?: { type: string };
    component: string;
    example_input?: unknown;
}

export interface Endpoint {
    description?: string;
    parameters: Parameter[];
    returns: { label: string; python_type?: { type: string } }[];
}

const example = (p: Parameter) =>
    p.parameter_has_default ? (p.parameter_default ?? null) : (p.example_input ?? null);

export function snippets(
    base: string,
    name: string,
    endpoint: Endpoint,
    isPrivate: boolean,
): Record<string, string> {
    return {
        Python: python(base, name, endpoint, isPrivate),
        JavaScript: javascript(base, name, endpoint, isPrivate),
        cURL: curl(base, name, endpoint, isPrivate),
    };
}

function python(base: string, name: string, { parameters }: Endpoint, isPrivate: boolean): string {
    const args = parameters.map((p) => `    ${p.parameter_name}=${pythonValue(example(p))},\n`);
    const token = isPrivate ? ', token="YOUR_TOKEN"' : '';
    return `from gradio_client import Client

client = Client("${base}"${token})
result = client.predict(
${args.join('')}    api_name="${name}",
)
print(result)`;
}

export function pythonValue(value: unknown): string {
    if (value === null || value === undefined) return 'None';
    if (value === true) return 'True';
    if (value === false) return 'False';
    if (Array.isArray(value)) return `[${value.map(pythonValue).join(', ')}]`;
    if (typeof value !== 'object') return JSON.stringify(value);
    const items = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${pythonValue(v)}`);
    return `{${items.join(', ')}}`;
}

function javascript(base: string, name: string, { parameters }: Endpoint, isPrivate: boolean) {
    const args = parameters.map((p) => `    ${p.parameter_name}: ${JSON.stringify(example(p))},\n`);
    const token = isPrivate ? ', { token: "YOUR_TOKEN" }' : '';
    return `import { Client } from "@gradio/client";

const app = await Client.connect("${base}"${token});
const result = await app.predict("${name}", {
${args.join('')}});
console.log(result.data);`;
}

function curl(base: string, name: string, { parameters }: Endpoint, isPrivate: boolean): string {
    const auth = isPrivate ? ' -H "Authorization: Bearer YOUR_TOKEN"' : '';
    const body = JSON.stringify({ data: parameters.map(example) }).replaceAll("'", "'\\''");
    const url = `${base}/gradio_api/call${name}`;
    return `id=$(curl -s ${url}${auth} \\
  -H "Content-Type: application/json" -d '${body}' | cut -d'"' -f4)
curl -N${auth} ${url}/$id`;
}
