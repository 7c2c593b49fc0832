// What Vite takes besides programs.

declare module "*.css";
