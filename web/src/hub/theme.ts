// Light, dark, or as the system says; src/theme.ts applies it before the first paint.

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'spaces.theme';

export function currentTheme(): Theme {
    return (document.documentElement.dataset.theme as Theme | undefined) ?? 'system';
}

export function setTheme(theme: Theme): void {
    const { dataset } = document.documentElement;
    if (theme === 'system') delete dataset.theme;
    else dataset.theme = theme;
    try {
        if (theme === 'system') localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, theme);
    } catch {
        /* Storage is forbidden: the choice holds until the page is left. */
    }
}
