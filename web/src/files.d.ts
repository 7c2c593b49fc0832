// What Vite takes besides programs.

declare module "*.css";
declare module "*?raw" {
  const text: string;
  export default text;
}
