import { html, nothing } from 'lit';
import { text } from '../strings';
import { num, str, type View, type Widget } from '../context';

function parse(view: View, field: EventTarget | null): number | null {
    const raw = (field as HTMLInputElement).value;
    const value = raw === '' ? null : Number(raw);
    if (value === null || Number.isNaN(value)) return null;
    const { precision } = view.props;
    return typeof precision === 'number' ? Number(value.toFixed(precision)) : value;
}

function renderNumber(view: View) {
    const { props } = view;
    return html`<input
        id=${view.controlId}
        type="number"
        min=${props.minimum ?? nothing}
        max=${props.maximum ?? nothing}
        step=${props.step === 1 || !props.step ? 'any' : props.step}
        placeholder=${str(props.placeholder)}
        aria-describedby=${props.info ? `${view.controlId}-info` : nothing}
        ?readonly=${!view.isInteractive}
        .value=${str(view.value)}
        @input=${(e: Event) => view.input(parse(view, e.target))}
        @keydown=${(e: KeyboardEvent) => e.key === 'Enter' && view.trigger('submit')}
        @focus=${() => view.trigger('focus')}
        @blur=${() => view.trigger('blur')}
    />`;
}

export const number: Widget = { label: 'for', render: renderNumber };

function renderSlider(view: View) {
    const { props } = view;
    const min = num(props.minimum, 0);
    const max = num(props.maximum, 100);
    const step = num(props.step, (max - min) / 100);
    const value = num(view.value, min);
    const typed = (e: Event) => {
        const n = parse(view, e.target);
        if (n !== null) view.input(Math.min(max, Math.max(min, n)));
        view.trigger('release');
    };
    return html`<div class="slider">
        <input
            id=${view.controlId}
            type="range"
            min=${min}
            max=${max}
            step=${step}
            aria-describedby=${props.info ? `${view.controlId}-info` : nothing}
            ?disabled=${!view.isInteractive}
            .value=${String(value)}
            @input=${(e: Event) => view.input(parse(view, e.target))}
            @change=${() => view.trigger('release')}
        />
        <input
            class="typed"
            type="number"
            min=${min}
            max=${max}
            step=${step}
            aria-label=${text.typed(view.label)}
            ?readonly=${!view.isInteractive}
            .value=${String(value)}
            @change=${typed}
        />
        <span class="ends" aria-hidden="true"><span>${min}</span><span>${max}</span></span>
    </div>`;
}

export const slider: Widget = { label: 'for', render: renderSlider };
