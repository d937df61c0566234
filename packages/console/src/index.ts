export { loadConsole, type Asset, type Console } from './assets.ts';
