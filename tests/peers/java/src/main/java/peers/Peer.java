// The official Java SDK as a peer of the gateway: a client that is driven in JSON lines (Client.java, Wire.java), or a server on stdio or
// Streamable HTTP (Server.java, Story.java). The same peers in other languages are in the folders next door.
//
//   Peer client
//   Peer server --transport stdio|http [--port N] [--thing URI] [--stateless]
package peers;

import java.util.List;

public final class Peer {

    public static void main(String[] words) throws Exception {
        List<String> args = List.of(words);
        if (args.contains("client")) {
            new Client().attend();
        } else if (args.contains("server")) {
            Server.serve(after(args, "--transport", "stdio"), Integer.parseInt(after(args, "--port", "0")),
                    after(args, "--thing", "peer://thing"), args.contains("--stateless"));
        } else {
            System.err.println("usage: Peer client | Peer server --transport stdio|http [--port N] [--thing URI] [--stateless]");
            System.exit(2);
        }
    }

    private static String after(List<String> args, String name, String otherwise) {
        int at = args.indexOf(name);
        return at < 0 ? otherwise : args.get(at + 1);
    }
}
