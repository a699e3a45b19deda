// The SDK's server: its three transports, of which the servlets run in an embedded Tomcat. What it offers is in Story.java.
package peers;

import io.modelcontextprotocol.server.McpServer;
import io.modelcontextprotocol.server.McpServerFeatures;
import io.modelcontextprotocol.server.McpStatelessServerFeatures;
import io.modelcontextprotocol.server.transport.HttpServletStatelessServerTransport;
import io.modelcontextprotocol.server.transport.HttpServletStreamableServerTransportProvider;
import io.modelcontextprotocol.server.transport.StdioServerTransportProvider;
import io.modelcontextprotocol.spec.McpSchema;
import jakarta.servlet.http.HttpServlet;
import org.apache.catalina.Context;
import org.apache.catalina.Wrapper;
import org.apache.catalina.startup.Tomcat;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;

final class Server {

    private static final McpSchema.Implementation NAME = new McpSchema.Implementation("java-peer", "1.0.0");
    private static final String WORDS = "A peer of the gateway, in Java.";
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    static void serve(String transport, int port, String thing, boolean stateless) throws Exception {
        Story story = new Story(thing);
        if (transport.equals("stdio")) {
            var standard = new StdioServerTransportProvider(Wire.JSON, untilItEnds(System.in), System.out);
            story.server = offer(McpServer.sync(standard), story).build();
        } else if (stateless) {
            var servlet = HttpServletStatelessServerTransport.builder().messageEndpoint("/mcp").build();
            offer(McpServer.sync(servlet), story).build();
            listen(servlet, port);
        } else {
            var servlet = HttpServletStreamableServerTransportProvider.builder().mcpEndpoint("/mcp").build();
            story.server = offer(McpServer.sync(servlet), story).build();
            listen(servlet, port);
        }
    }

    private static McpSchema.ServerCapabilities.Builder capabilities() {
        return new McpSchema.ServerCapabilities.Builder().tools(false).prompts(false).completions();
    }

    private static <S extends McpServer.SyncSpecification<S>> S offer(McpServer.SyncSpecification<S> server, Story story) {
        List<McpServerFeatures.SyncToolSpecification> tools = new ArrayList<>();
        story.tools().forEach((tool, act) -> tools.add(new McpServerFeatures.SyncToolSpecification(tool, act::apply)));
        @SuppressWarnings("unchecked")
        S offering = (S) server.serverInfo(NAME).instructions(WORDS).requestTimeout(PATIENCE).tools(tools)
            .capabilities(capabilities().resources(true, false).logging().build())
            .resources(new McpServerFeatures.SyncResourceSpecification(story.resource(), (exchange, asked) -> story.read(asked)))
            .resourceTemplates(new McpServerFeatures.SyncResourceTemplateSpecification(
                story.template(), (exchange, asked) -> story.read(asked)))
            .prompts(new McpServerFeatures.SyncPromptSpecification(Story.prompt(), (exchange, asked) -> Story.greet(asked)))
            .completions(new McpServerFeatures.SyncCompletionSpecification(Story.reference(), (exchange, asked) -> Story.complete(asked)));
        return offering;
    }

    private static McpServer.StatelessSyncSpecification offer(McpServer.StatelessSyncSpecification server, Story story) {
        List<McpStatelessServerFeatures.SyncToolSpecification> tools = new ArrayList<>();
        // Without a session there is nobody to ask or to tell.
        story.tools().forEach((tool, act) -> tools.add(
            new McpStatelessServerFeatures.SyncToolSpecification(tool, (context, call) -> act.apply(null, call))));
        return server.serverInfo(NAME).instructions(WORDS).tools(tools)
            .capabilities(capabilities().resources(false, false).build())
            .resources(new McpStatelessServerFeatures.SyncResourceSpecification(story.resource(), (context, asked) -> story.read(asked)))
            .resourceTemplates(new McpStatelessServerFeatures.SyncResourceTemplateSpecification(
                story.template(), (context, asked) -> story.read(asked)))
            .prompts(new McpStatelessServerFeatures.SyncPromptSpecification(Story.prompt(), (context, asked) -> Story.greet(asked)))
            .completions(new McpStatelessServerFeatures.SyncCompletionSpecification(
                Story.reference(), (context, asked) -> Story.complete(asked)));
    }

    /** With whoever speaks to it the process ends: the SDK goes on by itself. */
    private static InputStream untilItEnds(InputStream in) {
        return new FilterInputStream(in) {
            @Override
            public int read(byte[] into, int from, int length) throws IOException {
                int read = super.read(into, from, length);
                if (read < 0) {
                    System.exit(0);
                }
                return read;
            }
        };
    }

    private static void listen(HttpServlet servlet, int port) throws Exception {
        Logger.getLogger("org.apache").setLevel(Level.WARNING);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("java-peer").toString());
        tomcat.setHostname("127.0.0.1");
        tomcat.getConnector().setPort(port);
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", null);
        Wrapper wrapper = Tomcat.addServlet(context, "mcp", servlet);
        wrapper.setAsyncSupported(true);
        context.addServletMappingDecoded("/*", "mcp");
        tomcat.start();
        System.err.println("listening at http://127.0.0.1:" + port + "/mcp");
        tomcat.getServer().await();
    }
}
