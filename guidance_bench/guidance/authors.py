"""Authors of the methods' papers by arXiv number, as BibTeX writes them; what could not be confirmed is not here."""

AUTHORS = {
    "2207.12598": "Jonathan Ho and Tim Salimans",
    "2210.00939": "Susung Hong and Gyuseong Lee and Wooseok Jang and Seungryong Kim",
    "2305.08891": "Shanchuan Lin and Bingchen Liu and Jiashi Li and Xiao Yang",
    "2310.17347": "Seyedmorteza Sadat and Jakob Buhmann and Derek Bradley and Otmar Hilliges and Romann M. Weber",
    "2312.12487": r"Castillo, A. and Kohler, J. and P{\'e}rez, J. C. and P{\'e}rez, J. P. and Pumarola, A. and "
    r"Ghanem, B. and Arbel{\'a}ez, P. and Thabet, A.",
    "2403.17377": "Donghoon Ahn and Hyoungwon Cho and Jaewon Min and Wooseok Jang and Jungwoo Kim and SeonHwa Kim and "
    "Hyun Hee Park and Kyong Hwan Jin and Seungryong Kim",
    "2404.13040": "Xi Wang and Nicolas Dufour and Nefeli Andreou and Marie-Paule Cani and Victoria Fernandez Abrevaya "
    "and David Picard and Vicky Kalogeiton",
    "2406.02507": r"Tero Karras and Miika Aittala and Tuomas Kynk{\"a}{\"a}nniemi and Jaakko Lehtinen and Timo Aila "
    "and Samuli Laine",
    "2406.08070": "Hyungjin Chung and Jeongsol Kim and Geon Yeong Park and Hyelin Nam and Jong Chul Ye",
    "2407.02687": "Seyedmorteza Sadat and Manuel Kansy and Otmar Hilliges and Romann M. Weber",
    "2408.00760": "Susung Hong",
    "2410.02416": "Seyedmorteza Sadat and Otmar Hilliges and Romann M. Weber",
    "2410.18737": "Mengfei Xia and Nan Xue and Yujun Shen and Ran Yi and Tieliang Gong and Yong-Jin Liu",
    "2411.10257": "Nikolas Adaloglou and Tim Kaiser and Damir Iagudin and Markus Kollmann",
    "2411.18664": "Junha Hyung and Kinam Kim and Susung Hong and Min-Jung Kim and Jaegul Choo",
    "2412.05827": "Tiancheng Li and Weijian Luo and Zhiyang Chen and Liyuan Ma and Guo-Jun Qi",
    "2412.09966": "Kai Zhang and Fujun Luan and Sai Bi and Jianming Zhang",
    "2501.18865": "Zhengqi Gao and Kaiwen Zha and Tianyuan Zhang and Zihui Xue and Duane S. Boning",
    "2502.07849": "Krunoslav Lehman Pavasovic and Jakob Verbeek and Giulio Biroli and Marc Mezard",
    "2502.10574": r"Dawid Malarz and Artur Kasymov and Maciej Zi{\k{e}}ba and Jacek Tabor and Przemys{\l}aw Spurek",
    "2503.18137": "Mingi Kwon and Shin seong Kim and Jaeseok Jeong and Yi Ting Hsiao and Youngjung Uh",
    "2503.18886": "Weichen Fan and Amber Yijia Zheng and Raymond A. Yeh and Ziwei Liu",
    "2504.13987": "Tariq Berrada Ifriqi and Adriana Romero-Soriano and Michal Drozdzal and "
    "Jakob Verbeek and Karteek Alahari",
    "2506.06085": "Koulischer, F. and Handke, F. and Deleu, J. and Demeester, T. and Ambrogioni, L.",
    "2506.10036": "Javad Rajabi and Soroush Mehraban and Seyedmorteza Sadat and Babak Taati",
    "2506.11039": "Cheng Jin and Zhenyu Xiao and Chutao Liu and Yuantao Gu",
    "2506.19713": "Seyedmorteza Sadat and Tobias Vontobel and Farnood Salehi and Romann M. Weber",
    "2508.03442": "Shangwen Zhu and Qianyu Peng and Zhilei Shu and Yuting Hu and Zhantao Yang and Han Zhang and "
    "Zhao Pu and Andy Zheng and Xinyu Cui and Jian Zhao and Ruili Feng and Fan Cheng",
    "2508.12880": "Chubin Chen and Jiashu Zhu and Xiaokun Feng and Nisha Huang and Meiqi Wu and Fangyuan Mao and "
    "Jiahong Wu and Xiangxiang Chu and Xiu Li",
    "2509.22300": "Seyedmorteza Sadat and Farnood Salehi and Romann M. Weber",
    "2510.07631": "Shreshth Saini and Shashank Gupta and Alan C. Bovik",
    "2510.17136": "Enhao Gu and Haolin Hou",
    "2512.24176": "Xingyu Zhou and Qifan Li and Xiaobin Hu and Hai Chen and Shuhang Gu",
    "2601.21892": "Jian-Feng Cai and Haixia Liu and Zhengyi Su and Chao Wang",
    "2602.20360": "Runlong Liao and Jian Yu and Baiyu Su and Chi Zhang and Lizhang Chen and Qiang Liu",
    "2603.20584": "Liangyu Yuan and Yufei Huang and Mingkun Lei and Tong Zhao and Ruoyu Wang and Changxi Chi and "
    "Yiwei Wang and Chi Zhang",
    "2604.08048": "Weijia Zhang and Yuehao Liu and Shanyan Guan and Wu Ran and Yanhao Ge and Wei Li and Chao Ma",
}
