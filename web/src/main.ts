import { mount } from 'svelte';
import 'uplot/dist/uPlot.min.css';
import './style/main.scss';
import App from './App.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app to draw into.');

mount(App, { target });
