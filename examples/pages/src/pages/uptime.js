import ms from "ms";

export const page = ({ uptime }) => `up for ${ms(uptime, { long: true })}\n`;
