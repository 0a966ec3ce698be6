// SPDX-License-Identifier: MIT

// Caffeine as a contender of benchmark_memory, which starts this and asks by lines on its input:
//   open u64|text CAPACITY ENTRIES FILE   a cache with these entries, and the stream of numbers of FILE
//   read|mix|load|insert THREADS MILLISECONDS START   million operations a second
//   hits   the share of the last "load" that did not load
// What has not run before runs two seconds for nothing first, so that it is compiled. Lives are not
// bounded, which costs it nothing; keys are boxed beforehand.

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

class CaffeinePeer {
    static final int BATCH = 1024;
    static volatile long readSum;

    interface Work { long batch(int from); }

    static Object keyOf(boolean text, long number) {
        if (!text) return number * 0x9e3779b97f4a7c15L;
        String digits = Long.toString(number);
        return "k".repeat(16 - digits.length()) + digits;
    }
    static Object valueOf(boolean text, long number) {
        if (!text) return number;
        return String.valueOf((char) ('a' + number % 26)).repeat(100);
    }
    static long digest(Object value) {
        return value instanceof Long number ? number : ((String) value).charAt(50) + 100;
    }
    static boolean oneOfTwenty(int at) {
        return Integer.remainderUnsigned((at * 0x9e3779b1) >>> 8, 20) == 0;
    }

    Cache<Object, Object> cache;
    Object[] keys = new Object[0];
    int[] numbers = new int[0];
    boolean text;
    final Set<String> warm = new HashSet<>();
    final AtomicLong loads = new AtomicLong();
    final AtomicLong asked = new AtomicLong();
    final AtomicLong fresh = new AtomicLong();

    long open(String kind, long capacity, int entries, String file) throws Exception {
        text = kind.equals("text");
        warm.clear();
        cache = Caffeine.newBuilder().maximumSize(capacity).build();
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(file))).order(ByteOrder.LITTLE_ENDIAN);
        numbers = new int[bytes.remaining() / 4];
        bytes.asIntBuffer().get(numbers);
        int most = entries;
        for (int number : numbers) most = Math.max(most, number + 1);
        Object[] boxed = new Object[most];
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < most; ++i) {
            boxed[i] = keyOf(text, i);
            if (i < entries) order.add(i);
        }
        keys = new Object[numbers.length];
        for (int i = 0; i < numbers.length; ++i) keys[i] = boxed[numbers[i]];
        Collections.shuffle(order, new Random(43));
        for (int i : order) cache.put(boxed[i], valueOf(text, i));
        fresh.set(1L << 32);
        cache.cleanUp();
        return cache.estimatedSize();
    }

    long read(int from) {
        long sum = 0;
        for (int i = from; i < from + BATCH; ++i) sum += digest(cache.getIfPresent(keys[i & (keys.length - 1)]));
        return sum;
    }
    long mix(int from) {
        long sum = 0;
        for (int i = from; i < from + BATCH; ++i) {
            int at = i & (keys.length - 1);
            if (oneOfTwenty(i)) cache.put(keys[at], valueOf(text, numbers[at]));
            else sum += digest(cache.getIfPresent(keys[at]));
        }
        return sum;
    }
    long load(int from) {
        long sum = 0;
        long[] loaded = {0};
        for (int i = from; i < from + BATCH; ++i) {
            int at = i & (keys.length - 1);
            sum += digest(cache.get(keys[at], key -> {
                ++loaded[0];
                return valueOf(text, numbers[at]);
            }));
        }
        loads.addAndGet(loaded[0]);
        asked.addAndGet(BATCH);
        return sum;
    }
    long insert(int from) {
        long first = fresh.getAndAdd(BATCH);
        for (long i = first; i < first + BATCH; ++i) cache.put(keyOf(text, i), valueOf(text, i));
        return first;
    }

    double measure(String what, int threads, int milliseconds, int start) throws Exception {
        Work work = switch (what) {
            case "read" -> this::read;
            case "mix" -> this::mix;
            case "load" -> this::load;
            default -> this::insert;
        };
        if (warm.add(what)) throughput(work, 2, 2000, start);
        loads.set(0);
        asked.set(0);
        return throughput(work, threads, milliseconds, start);
    }

    static volatile boolean begun;
    static volatile boolean over;
    static double throughput(Work work, int threads, int milliseconds, int start) throws Exception {
        CountDownLatch ready = new CountDownLatch(threads);
        double[] rates = new double[threads];
        begun = false;
        over = false;
        List<Thread> all = new ArrayList<>();
        for (int number = 0; number < threads; ++number) {
            int thread = number;
            Thread one = new Thread(() -> {
                int at = start + thread * 7_919_777;
                long sum = 0;
                ready.countDown();
                while (!begun) sum += work.batch(at += BATCH);
                long done = 0;
                long begin = System.nanoTime();
                while (!over) {
                    sum += work.batch(at += BATCH);
                    done += BATCH;
                }
                rates[thread] = done * 1e3 / (System.nanoTime() - begin);
                readSum += sum;
            });
            one.start();
            all.add(one);
        }
        ready.await();
        Thread.sleep(milliseconds / 4);
        begun = true;
        Thread.sleep(milliseconds);
        over = true;
        double rate = 0;
        for (int thread = 0; thread < threads; ++thread) {
            all.get(thread).join();
            rate += rates[thread];
        }
        return rate;
    }

    public static void main(String[] arguments) throws Exception {
        CaffeinePeer peer = new CaffeinePeer();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null;) {
            String[] word = line.split(" ");
            switch (word[0]) {
                case "open" -> System.out.println(
                    peer.open(word[1], Long.parseLong(word[2]), Integer.parseInt(word[3]), word[4]));
                case "hits" -> System.out.println(1 - (double) peer.loads.get() / peer.asked.get());
                default -> System.out.println(peer.measure(word[0], Integer.parseInt(word[1]),
                    Integer.parseInt(word[2]), (int) Long.parseLong(word[3])));
            }
        }
    }
}
