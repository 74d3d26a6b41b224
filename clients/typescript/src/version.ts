/** The version of this client. Clients and servers with the same MAJOR.MINOR understand each other. */
export const VERSION = "0.1.0";
/** MAJOR.MINOR of the API that this client speaks. */
export const API_VERSION = VERSION.split(".").slice(0, 2).join(".");
