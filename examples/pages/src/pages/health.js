export const page = () => "ok\n";
