import { html, nothing } from 'lit';
import { text } from '../strings';
import { str, type View, type Widget } from '../context';
import { same } from '../store';

type Choice = [string, unknown];

function choices(view: View): Choice[] {
    const list = Array.isArray(view.props.choices) ? view.props.choices : [];
    return list.map((c: unknown) => (Array.isArray(c) ? [str(c[0]), c[1]] : [str(c), c]) as Choice);
}

export const checkbox: Widget = {
    label: 'legend',
    render: (view) => html`<label class="check">
        <input
            id=${view.controlId}
            type="checkbox"
            ?disabled=${!view.isInteractive}
            .checked=${view.value === true}
            @change=${(e: Event) =>
                view.input((e.target as HTMLInputElement).checked, 'input', 'select')}
        />
        <span>${view.label}</span>
    </label>`,
};

function fieldset(view: View, content: unknown) {
    return html`<fieldset aria-describedby=${view.props.info ? `${view.controlId}-info` : nothing}>
        <legend class="label ${view.props.show_label === false ? 'sr' : ''}">${view.label}</legend>
        <div class="choices">${content}</div>
    </fieldset>`;
}

function selectData([label, value]: Choice, index: number) {
    return { index, value: value ?? label, selected: true };
}

export const radio: Widget = {
    label: 'legend',
    render: (view) =>
        fieldset(
            view,
            choices(view).map(
                (choice, i) => html`<label class="check chip">
                    <input
                        type="radio"
                        name=${view.controlId}
                        ?disabled=${!view.isInteractive}
                        .checked=${same(view.value, choice[1])}
                        @change=${() => {
                            view.input(choice[1]);
                            view.trigger('select', selectData(choice, i));
                        }}
                    />
                    <span>${choice[0]}</span>
                </label>`,
            ),
        ),
};

function toggle(view: View, value: unknown, isOn: boolean) {
    const now = Array.isArray(view.value) ? view.value : [];
    // In the order of the choices, as Gradio has it.
    const next = choices(view)
        .map((c) => c[1])
        .filter((v) => (same(v, value) ? isOn : now.some((n) => same(n, v))));
    view.input(next, 'input', 'select');
}

export const checkboxgroup: Widget = {
    label: 'legend',
    render: (view) =>
        fieldset(
            view,
            choices(view).map(
                ([label, value]) => html`<label class="check chip">
                    <input
                        type="checkbox"
                        ?disabled=${!view.isInteractive}
                        .checked=${Array.isArray(view.value) &&
                        view.value.some((v) => same(v, value))}
                        @change=${(e: Event) =>
                            toggle(view, value, (e.target as HTMLInputElement).checked)}
                    />
                    <span>${label}</span>
                </label>`,
            ),
        ),
};

function renderSelect(view: View) {
    const list = choices(view);
    const at = list.findIndex(([, value]) => same(value, view.value));
    const pick = (e: Event) => {
        const i = Number((e.target as HTMLSelectElement).value);
        view.input(list[i]?.[1] ?? null);
        if (list[i]) view.trigger('select', selectData(list[i], i));
    };
    return html`<select
        id=${view.controlId}
        aria-describedby=${view.props.info ? `${view.controlId}-info` : nothing}
        ?disabled=${!view.isInteractive}
        @change=${pick}
    >
        ${at < 0 ? html`<option value="-1" selected>${str(view.value) || text.select}</option>` : ''}
        ${list.map(([label], i) => html`<option value=${i} .selected=${i === at}>${label}</option>`)}
    </select>`;
}

function renderCustom(view: View) {
    const list = choices(view);
    const label = list.find(([, value]) => same(value, view.value))?.[0] ?? str(view.value);
    const pick = (e: Event) => {
        const typed = (e.target as HTMLInputElement).value;
        view.input(list.find((c) => c[0] === typed)?.[1] ?? typed, 'input', 'select');
    };
    return html`<input
            id=${view.controlId}
            list="${view.controlId}-list"
            ?readonly=${!view.isInteractive}
            .value=${label}
            @change=${pick}
        />
        <datalist id="${view.controlId}-list">
            ${list.map(([name]) => html`<option value=${name}></option>`)}
        </datalist>`;
}

export const dropdown: Widget = {
    label: 'for',
    render: (view) =>
        view.props.multiselect
            ? html`<div role="group" aria-label=${view.label}>${checkboxgroup.render(view)}</div>`
            : view.props.allow_custom_value
              ? renderCustom(view)
              : renderSelect(view),
};
