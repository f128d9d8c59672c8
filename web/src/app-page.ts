// The page at /app/owner/name: the app and nothing else.

import './app/space-app';

const path = location.pathname.replace(/\/+$/, '');
const element = document.createElement('space-app');
element.setAttribute('src', path);
element.addEventListener('render', () => (document.title = path.split('/').slice(2).join('/')));
document.querySelector('main')!.append(element);
