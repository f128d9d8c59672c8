// A <details> that behaves like a menu button.

export function closeOnEscape(e: KeyboardEvent): void {
    const menu = e.currentTarget as HTMLDetailsElement;
    if (e.key !== 'Escape' || !menu.open) return;
    menu.open = false;
    menu.querySelector('summary')?.focus();
}

export function closeOnLeave(e: FocusEvent): void {
    const menu = e.currentTarget as HTMLDetailsElement;
    const to = e.relatedTarget as Node | null;
    if (to && !menu.contains(to)) menu.open = false;
}

/** A click anywhere else closes whatever menu is open. */
export function closeOthers(e: MouseEvent): void {
    const path = e.composedPath();
    for (const menu of document.querySelectorAll('details.menu[open]'))
        if (!path.includes(menu)) menu.removeAttribute('open');
}
