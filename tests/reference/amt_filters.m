% Figures of the Auditory Modeling Toolbox 1.4.0 for docs/from-the-amt.md, from its documented
% formulas in words of our own (none of its code is here). In the root of the project, with GNU
% Octave and its package signal:
%   octave -q tests/reference/amt_filters.m      (writes tests/reference/amt_filters.csv)
1;
pkg load signal

function table = read_rows(folder, file)
  lines = strsplit(fileread(fullfile(folder{:}, file)), "\n");
  is_data = ! cellfun(@isempty, regexp(lines, '^[0-9]', "once"));
  table = cell2mat(cellfun(@(line) str2double(strsplit(line, ",")), lines(is_data)', ...
                           "UniformOutput", false));
end

function rows = cut(rows, fs)
  if fs <= 20000
    rows = rows(rows(:, 1) < fs / 2, :);
  end
end

function response = of_fir(taps, freqs, fs)
  response = exp(-2i * pi * freqs(:) / fs * (0:numel(taps) - 1)) * taps(:);
end

function print_response(out, name, fs, freqs, response)
  for k = 1:numel(freqs)
    fprintf(out, "%s,%d,%.6f,%.6f\n", name, fs, freqs(k), 20 * log10(abs(response(k))));
  end
end

tables = {"data", "tables"};
figures = {"tests", "reference"};
out = fopen(fullfile(figures{:}, "amt_filters.csv"), "w");
fprintf(out, "# made by tests/reference/amt_filters.m, GNU Octave %s with signal %s\n", version(), ...
        pkg("list", "signal"){1}.version);
fprintf(out, "name,fs_hz,frequency_hz,magnitude_db\n");

for fs = [16000 44100 48000]
  freqs = logspace(2, log10(0.45 * fs), 60);

  rows = cut(read_rows(tables, "pralong1996.csv"), fs);
  taps = fir2(512, [0; rows(:, 1) * 2 / fs; 1], [0; rows(:, 2); 0]);
  print_response(out, "headphone", fs, freqs, of_fir(taps, freqs, fs));

  rows = cut(read_rows(tables, "jepsen2008.csv"), fs);
  taps = fir2(512, [0; rows(:, 1) * 2 / fs; 1], [0; 1 ./ rows(:, 2); 0]);
  taps = taps / max(abs(fft(taps))) * 1e-8 * 10 ^ (104 / 20);
  print_response(out, "jepsen2008", fs, freqs, of_fir(taps, freqs, fs));

  % Butterworth band-passes of first order, with 18 dB; the two older ones twice that.
  for model = {{"verhulst2012", [100 3000], 2}, {"verhulst2015", [600 3000], 2}, ...
               {"verhulst2018", [600 4000], 1}}
    [name, corners, factor] = model{1}{:};
    [b, a] = butter(1, corners / (fs / 2), "bandpass");
    z = exp(-2i * pi * freqs(:) / fs);
    response = factor * 10 ^ (18 / 20) * polyval(fliplr(b), z) ./ polyval(fliplr(a), z);
    print_response(out, name, fs, freqs, response);
  end

  % Three analog sections each, by a bilinear transform that is exact at 1 kHz.
  s = 2i * pi * 1000 / tan(pi * 1000 / fs) * tan(pi * freqs(:) / fs);
  human = (s .^ 2 + 5.6665e3 * s) ./ (s .^ 2 + 5.9761e3 * s + 2.5255e7) ...
          .* (s .^ 2 + 5.8934e3 * s + 1.7926e8) ./ (s .^ 2 + 6.4255e3 * s + 1.3975e8) ...
          .* (3.1137e3 * s + 6.9768e8) ./ (s .^ 2 + 2.4891e4 * s + 1.27e9) / 2;
  print_response(out, "zilany2009", fs, freqs, human);
  cat_ear = s ./ (s + 693.48) ...
            .* (s .^ 2 + 1356.3 * s + 7.4417e8) ./ (s .^ 2 + 11053 * s + 1.163e8) ...
            .* (5.7585e5 * s + 7.1665e7) ./ (s .^ 2 + 4620 * s + 909059944) / 41.1405;
  print_response(out, "zilany2009cat", fs, freqs, cat_ear);
end

% moore1997, glasberg2002: the grid of 20 to 16000 Hz laid over 0 to fs/2, 10^(dB/10) a pass, both
% ways.
fs = 32000;
freqs = logspace(log10(30), log10(14000), 60);
outer = read_rows(tables, "ansi2007_outer_ear.csv");
middle = read_rows(tables, "moore_middle_ear.csv");
grid = 20:16000;
level_db = pchip(outer(:, 1), outer(:, 2), grid) + pchip(middle(:, 1), middle(:, 2), grid);
taps = fir2(4096, linspace(0, 1, numel(level_db)), 10 .^ (level_db / 10));
print_response(out, "glasberg2002", fs, freqs, of_fir(taps, freqs, fs) .^ 2);
fclose(out);
