// The app that the stub serves: its config, and its functions as async generators.

const comp = (id, type, props = {}) => ({ id, type, props: { name: type, visible: true, ...props } });
const choices = (...names) => names.map((n) => [n, n]);

export const FN = { echo: 0, stream: 1, steps: 2, fail: 3, slow: 4, picture: 5, scores: 6, chain: 7 };

export const components = [
    comp(1, 'markdown', { value: '# Test app\n\nSays what you **type**, `slowly` if asked.\n\n<img src=x onerror="document.title=1"><p style="position:fixed;text-align: center">Middle</p> [bad](javascript:alert(1)) [good](https://example.org/)' }),
    comp(2, 'textbox', { label: 'Prompt', lines: 1, placeholder: 'Type something', info: 'Any words will do.' }),
    comp(3, 'slider', { label: 'Seconds', minimum: 0, maximum: 5, step: 0.1, value: 0.3 }),
    comp(4, 'button', { value: 'Run', variant: 'primary' }),
    comp(5, 'textbox', { label: 'Answer', interactive: false }),
    comp(6, 'button', { value: 'Stream', variant: 'secondary' }),
    comp(7, 'button', { value: 'Steps', variant: 'secondary' }),
    comp(8, 'button', { value: 'Fail', variant: 'stop' }),
    comp(10, 'row'),
    comp(11, 'column', { scale: 1, min_width: 280 }),
    comp(12, 'column', { scale: 1, min_width: 280 }),
    comp(13, 'row'),
    comp(14, 'tabs'),
    comp(15, 'tabitem', { label: 'Talk' }),
    comp(16, 'tabitem', { label: 'Fields' }),
    comp(17, 'form'),
    comp(20, 'number', { label: 'Count', value: 3 }),
    comp(21, 'checkbox', { label: 'Loud', value: true }),
    comp(22, 'radio', { label: 'Mood', choices: choices('calm', 'happy', 'grumpy'), value: 'calm' }),
    comp(23, 'dropdown', { label: 'Model', choices: choices('tiny', 'small', 'large'), value: 'small' }),
    comp(24, 'checkboxgroup', { label: 'Extras', choices: choices('rain', 'snow'), value: ['rain'] }),
    comp(25, 'image', { label: 'Picture', sources: ['upload', 'clipboard'] }),
    comp(26, 'image', { label: 'Drawn', interactive: false }),
    comp(27, 'label', { label: 'Scores', value: { label: 'fox', confidences: [{ label: 'fox', confidence: 0.82 }, { label: 'dog', confidence: 0.13 }, { label: 'cat', confidence: 0.05 }] } }),
    comp(28, 'json', { label: 'Raw', value: { animal: 'fox', legs: 4, tags: ['red', 'quick'], nested: { deep: null } } }),
    comp(29, 'file', { label: 'Document' }),
    comp(30, 'html', { value: '<b>Bold</b> and <script>document.title=2</script>safe', label: 'Html' }),
    comp(31, 'accordion', { label: 'More settings', open: false }),
    comp(32, 'textbox', { label: 'Notes', lines: 3 }),
    comp(33, 'holodeck', { label: 'Strange', value: { a: 1 } }),
    comp(34, 'state'),
    comp(35, 'button', { value: 'Draw', variant: 'primary' }),
    comp(36, 'dataset', { label: 'Examples', components: ['textbox'], headers: ['Prompt'], samples: [['a red fox'], ['a lazy dog']] }),
    comp(37, 'textbox', { label: 'Echo of the answer', interactive: false }),
    comp(38, 'button', { value: 'Stop', variant: 'stop' }),
];

export const layout = {
    id: 0,
    children: [
        { id: 1 },
        {
            id: 14,
            children: [
                {
                    id: 15,
                    children: [
                        {
                            id: 10,
                            children: [
                                {
                                    id: 11,
                                    children: [
                                        { id: 17, children: [{ id: 2 }, { id: 3 }] },
                                        { id: 13, children: [{ id: 8 }, { id: 7 }, { id: 6 }, { id: 4 }] },
                                        { id: 36 },
                                    ],
                                },
                                { id: 12, children: [{ id: 5 }, { id: 37 }, { id: 27 }, { id: 38 }] },
                            ],
                        },
                    ],
                },
                {
                    id: 16,
                    children: [
                        { id: 20 },
                        { id: 21 },
                        { id: 22 },
                        { id: 23 },
                        { id: 24 },
                        { id: 25 },
                        { id: 35 },
                        { id: 26 },
                        { id: 28 },
                        { id: 29 },
                        { id: 30 },
                        { id: 31, children: [{ id: 32 }] },
                        { id: 33 },
                        { id: 34 },
                    ],
                },
            ],
        },
    ],
};

const dep = (id, target, inputs, outputs, more = {}) => ({
    id,
    targets: [target],
    inputs,
    outputs,
    backend_fn: true,
    js: null,
    queue: true,
    api_name: Object.keys(FN)[id],
    show_progress: 'full',
    trigger_mode: 'once',
    cancels: [],
    trigger_after: null,
    ...more,
});

export const dependencies = [
    { ...dep(FN.echo, [4, 'click'], [2, 3], [5]), targets: [[4, 'click'], [2, 'submit']] },
    dep(FN.stream, [6, 'click'], [2], [5]),
    dep(FN.steps, [7, 'click'], [], [5]),
    dep(FN.fail, [8, 'click'], [2], [5]),
    dep(FN.slow, [36, 'click'], [36], [2], { show_progress: 'hidden' }),
    dep(FN.picture, [35, 'click'], [25], [26]),
    dep(FN.scores, [5, 'change'], [5], [27], { show_progress: 'minimal', trigger_mode: 'always_last' }),
    dep(FN.chain, [null, 'none'], [5], [37], { trigger_after: FN.echo, trigger_only_on_success: true }),
    dep(8, [38, 'click'], [], [], { backend_fn: false, cancels: [0, 1, 2], api_name: null }),
];

export const config = {
    version: '6.25.0',
    title: 'Test app',
    version_id: 'v1',
    api_prefix: '/gradio_api',
    protocol: 'sse_v3',
    components,
    layout,
    dependencies,
};

export const info = {
    named_endpoints: {
        '/echo': {
            parameters: [
                { label: 'Prompt', parameter_name: 'prompt', parameter_has_default: false, type: { type: 'string' }, python_type: { type: 'str' }, component: 'Textbox', example_input: 'Hello!!' },
                { label: 'Seconds', parameter_name: 'seconds', parameter_has_default: true, parameter_default: 0.3, type: { type: 'number' }, python_type: { type: 'float' }, component: 'Slider', example_input: 0.3 },
            ],
            returns: [{ label: 'Answer', type: { type: 'string' }, python_type: { type: 'str' }, component: 'Textbox' }],
            api_visibility: 'public',
            description: 'Says it back.',
        },
    },
    unnamed_endpoints: {},
};

const wait = (ms) => new Promise((r) => setTimeout(r, ms));
const level = (index, length) => ({ progress_data: [{ index, length, unit: 'steps', progress: null, desc: 'Drawing' }] });

/** Yields messages without event_id; `process_completed` is added by the stub. */
export const functions = {
    async *[FN.echo]([prompt, seconds]) {
        await wait(seconds * 1000);
        return [`You said: ${prompt}`];
    },
    async *[FN.stream]([prompt]) {
        const words = `${prompt || 'one two three four five'}`.split(' ');
        let all = words[0];
        yield { msg: 'process_generating', output: { data: [all], is_generating: true }, success: true };
        for (const word of words.slice(1)) {
            await wait(120);
            all += ` ${word}`;
            yield { msg: 'process_generating', output: { data: [[['append', [], ` ${word}`]]], is_generating: true }, success: true };
        }
        await wait(200);
        return [all];
    },
    async *[FN.steps]() {
        for (let i = 1; i <= 8; i++) {
            yield { msg: 'progress', ...level(i, 8) };
            await wait(250);
        }
        return ['Drawn'];
    },
    async *[FN.fail]([prompt]) {
        await wait(50);
        yield { msg: 'log', log: 'About to fail', level: 'warning', title: 'Warning', duration: 10, visible: true };
        throw new Error(`cannot do ${prompt || 'nothing'}`);
    },
    async *[FN.slow]([index]) {
        return [['a red fox', 'a lazy dog'][index] ?? ''];
    },
    async *[FN.picture]([picture]) {
        return [picture];
    },
    async *[FN.scores]([answer]) {
        const n = String(answer ?? '').length % 10;
        return [{ label: 'fox', confidences: [{ label: 'fox', confidence: 0.5 + n / 20 }, { label: 'dog', confidence: 0.5 - n / 20 }] }];
    },
    async *[FN.chain]([answer]) {
        return [{ __type__: 'update', value: `(${answer})`, label: 'Echo of the answer' }];
    },
};
