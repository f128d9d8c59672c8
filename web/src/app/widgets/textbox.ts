import { html, nothing } from 'lit';
import { num, str, type View, type Widget } from '../context';

// A textarea even for one line: an output may have more lines than the app promised.
function render(view: View) {
    const { props, value } = view;
    const type = str(props.type, 'text');
    if (type !== 'text') return renderInput(view, type);
    return html`<textarea
        id=${view.controlId}
        rows=${num(props.lines, 1)}
        dir=${props.rtl ? 'rtl' : 'auto'}
        placeholder=${str(props.placeholder)}
        maxlength=${props.max_length ?? nothing}
        aria-describedby=${props.info ? `${view.controlId}-info` : nothing}
        ?readonly=${!view.isInteractive}
        ?autofocus=${props.autofocus === true}
        .value=${str(value)}
        @input=${(e: Event) => view.input((e.target as HTMLTextAreaElement).value)}
        @keydown=${(e: KeyboardEvent) => onKey(view, e)}
        @focus=${() => view.trigger('focus')}
        @blur=${() => view.trigger('blur')}
    ></textarea>`;
}

function renderInput(view: View, type: string) {
    return html`<input
        id=${view.controlId}
        type=${type === 'password' || type === 'email' ? type : 'text'}
        placeholder=${str(view.props.placeholder)}
        ?readonly=${!view.isInteractive}
        .value=${str(view.value)}
        @input=${(e: Event) => view.input((e.target as HTMLInputElement).value)}
        @keydown=${(e: KeyboardEvent) => onKey(view, e)}
        @focus=${() => view.trigger('focus')}
        @blur=${() => view.trigger('blur')}
    />`;
}

// One line: Enter submits and Shift+Enter breaks the line. Several: the other way round.
function onKey(view: View, e: KeyboardEvent) {
    const isMultiline = num(view.props.lines, 1) > 1;
    if (e.key !== 'Enter' || e.shiftKey !== isMultiline || e.isComposing) return;
    if (!view.isInteractive) return;
    e.preventDefault();
    view.trigger('submit');
}

// Grows with its text up to max_lines; browsers without `field-sizing` need the height from us.
function painted(view: View, host: HTMLElement) {
    const area = host.querySelector('textarea');
    if (!area) return;
    const line = parseFloat(getComputedStyle(area).lineHeight) || 20;
    const most = Math.max(num(view.props.max_lines, 20), num(view.props.lines, 1));
    const atEnd = area.scrollTop + area.clientHeight >= area.scrollHeight - line;
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight + 2, most * line + 20)}px`;
    if (!view.isInteractive && view.props.autoscroll !== false && atEnd)
        area.scrollTop = area.scrollHeight;
}

export const textbox: Widget = { label: 'for', render, painted };
