/* SPDX-License-Identifier: AGPL-3.0-or-later */
import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.io.PrintStream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * Reads a zip as a stream, without its central directory, by the strictest
 * reader there is, and prints "CRC-32 size name" for each entry.
 */
class ZipStreamRead {
	public static void main(String[] args) throws Exception {
		PrintStream out = new PrintStream(System.out, false, "UTF-8");
		byte[] bytes = new byte[1 << 16];
		try (ZipInputStream zip = new ZipInputStream(
				new BufferedInputStream(
					new FileInputStream(args[0]), 1 << 16))) {
			ZipEntry entry;
			while ((entry = zip.getNextEntry()) != null) {
				CRC32 crc = new CRC32();
				long size = 0;
				int n;
				while ((n = zip.read(bytes)) > 0) {
					crc.update(bytes, 0, n);
					size += n;
				}
				out.printf("%08x %d %s%n", crc.getValue(), size,
					   entry.getName());
			}
		}
		out.flush();
	}
}
