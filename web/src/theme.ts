// Runs before the first paint, as a classic script: light or dark as chosen, else as the system says.
(() => {
    const asked = new URLSearchParams(location.search).get('__theme');
    let theme = asked;
    try {
        theme ??= localStorage.getItem('spaces.theme');
    } catch {
        /* Storage is forbidden here: follow the system. */
    }
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
